#!/usr/bin/env bash
# The Go package: go vet and go test against the library that was built. usage: go_binding.sh BUILD SOURCE
set -euo pipefail
build=$1 top=$2
command -v go >/dev/null 2>&1 || { echo "skipped: go is not there"; exit 77; }
folder=${ECREC_MODELS:-$HOME/.cache/ecrec-models}/all-MiniLM-L6-v2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -d "$folder" ] || { echo "skipped: $folder is not there"; exit 77; }
"$build/examples/ecrec" import "$folder" -o "$work/minilm.ecrec" >/dev/null
export PKG_CONFIG_PATH=$build/meson-uninstalled LD_LIBRARY_PATH=$build/lib CGO_ENABLED=1 GOPROXY=off ECREC_TEST_MODEL=$work/minilm.ecrec
cd "$top/examples/go"
[ -z "$(gofmt -l .)" ] || { gofmt -d .; exit 1; }
go vet .
go test -count=1 .
