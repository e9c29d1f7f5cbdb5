#!/usr/bin/env bash
# A Python environment of peers to compare with, from PyPI: for tests (the reference tokenizers, NumPy) or for benches too
# (ONNX Runtime, Vowpal Wabbit, ...). Kept in ${ECREC_PEERS:-$HOME/.cache/ecrec-peers}; quick when it is there.
#
#   tests/peers.sh [test|bench]     default: test
set -euo pipefail
dir=${ECREC_PEERS:-$HOME/.cache/ecrec-peers}
what=${1:-test}
test=(numpy tokenizers==0.23.3 pillow transformers scikit-learn tensorboard)
bench=(blingfire flash-tokenizer onnxruntime onnx sympy vowpalwabbit lightgbm scipy mkl river)
case $what in
    test) packages=("${test[@]}") ;;
    bench) packages=("${test[@]}" "${bench[@]}") ;;
    *) echo "peers.sh: '$what' is none of test, bench" >&2; exit 2 ;;
esac
stamp=$dir/.$what
list="${packages[*]}"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$list" ] && "$dir/bin/python" -c 'import numpy' 2>/dev/null; then exit 0; fi
[ -x "$dir/bin/python" ] || python3 -m venv "$dir"
echo "installing peers: $list" >&2
"$dir/bin/python" -m pip install -q --disable-pip-version-check "${packages[@]}" >&2
echo "$list" >"$stamp"
