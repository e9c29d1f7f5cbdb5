#!/usr/bin/env bash
# A Python environment of peers to compare with, from PyPI: for tests (the reference tokenizers, NumPy) or for benches too
# (ONNX Runtime, Vowpal Wabbit, ...). Kept in ${ECREC_PEERS:-$HOME/.cache/ecrec-peers}; quick when it is there.
#
#   tests/peers.sh [test|bench]     default: test
set -euo pipefail
dir=${ECREC_PEERS:-$HOME/.cache/ecrec-peers}
what=${1:-test}
test=(numpy pyarrow tokenizers==0.23.3 sentencepiece==0.2.3 pillow transformers scikit-learn tensorboard)
bench=(blingfire flash-tokenizer onnxruntime onnx sympy vowpalwabbit lightgbm scipy mkl onednn-cpu-gomp river usearch faiss-cpu)
case $what in
    test) packages=("${test[@]}") ;;
    bench) packages=("${test[@]}" "${bench[@]}") ;;
    *) echo "peers.sh: '$what' is none of test, bench" >&2; exit 2 ;;
esac
# another version of a peer beside the newest, in a folder of its own: opt/NAME-VERSION
older=()
[ "$what" = bench ] && older=(onnxruntime==1.30.0)
stamp=$dir/.$what
list="${packages[*]} ${older[*]}"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$list" ] && "$dir/bin/python" -c 'import numpy' 2>/dev/null; then exit 0; fi
[ -x "$dir/bin/python" ] || python3 -m venv "$dir"
echo "installing peers: $list" >&2
"$dir/bin/python" -m pip install -q --disable-pip-version-check "${packages[@]}" >&2
for package in "${older[@]}"; do
    "$dir/bin/python" -m pip install -q --disable-pip-version-check --no-deps --upgrade --target "$dir/opt/${package/==/-}" "$package" >&2
done
echo "$list" >"$stamp"
