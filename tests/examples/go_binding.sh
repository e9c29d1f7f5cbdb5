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
go vet ./...
go test -count=1 .

# the replica follows a trainer by the deltas of its journal, to the same state
ecrec=$build/examples/ecrec
go build -o "$work/replica" ./replica
cd "$work"
echo '{"fields": [{"name": "user", "kind": "user"}, {"name": "hour", "kind": "category"}], "labels": ["click"], "hash_bits": 12}' >shop.json
"$ecrec" new --schema shop.json -o shop.ecrec >/dev/null
mkdir deltas
from=1
for part in 1 2 3; do
    printf 'user\thour\tclick\n' >rows.tsv
    for i in $(seq 60); do printf '%s\t%s\t%s\n' $((i * part % 7)) $((i % 24)) $((i % 24 / 12)) >>rows.tsv; done
    "$ecrec" update shop.ecrec -i rows.tsv --journal shop.journal --reserve 50 --reservoir 50 >/dev/null
    "$ecrec" delta export shop.ecrec --journal shop.journal --from $from -o next.delta
    to=$("$ecrec" delta info next.delta --json | sed -n 's/.*"to": *\([0-9]*\).*/\1/p' | head -1)
    result=$("$ecrec" delta info next.delta --json | sed -n 's/.*"result": *"\([0-9a-f]*\)".*/\1/p' | head -1)
    mv next.delta "deltas/$to.delta"
    from=$to
done
told=$(./replica shop.ecrec deltas -once)
grep -q "^applied 3," <<<"$told" && grep -q "^snapshot $to\$" <<<"$told" && grep -q "^state $result\$" <<<"$told" || { echo "the replica is elsewhere: $told; the trainer at $to, $result"; exit 1; }
