#!/usr/bin/env bash
# Measure beside the best peers, in one run: tables on stdout, the same as JSON in a folder. Installs the peers from PyPI.
#
#   tests/bench/run.sh [--build DIR] [--out DIR] [--threads 1,2] [--quick] [BENCH ...]      default: all of them; one thread
#
# encode     token ids to vectors beside ONNX Runtime (the newest, and the 1.30 of the gates): f32, bf16 where the processor has it, and 8 bits; one text, a batch, mixed lengths;
#            each gate, the machine's floor; with --threads 1,2 what the second thread gives; the first run after loading
# frappe     quality: each part of the ranker, beside Vowpal Wabbit, LightGBM and the rule "pair seen"
# elec2      a stream: right before it learns, with updates of 1, 10, 100 rows, beside Vowpal Wabbit and river
# modality   what a missing text or picture costs on MovieLens, with and without modality dropout
# movielens  liked films by time: behaviour, + text, + visual features, beside LightGBM
# baskets    next week's basket over all products, beside the household's own frequency and LightGBM
# pairs      the same product or not: F1 on Amazon-Google, beside LightGBM
# open_bandit  the value of a learned policy on logged impressions
# dcn        an epoch of a DCN-V2-shaped network, beside PyTorch
# rank       rows a second of update, score and fit, nothing read from files
# tokenizers texts to tokens beside the reference, BlingFire and flash-tokenizer, on one thread, then on all; long texts; memory
# products   the layers' products alone beside oneDNN and MKL, and of the processor's peak: widths 384, 512, 768, 1024
# matmul     large float32 products beside BLIS in each configuration, oneDNN and MKL
# deltas     workers that learn a shard each, merged by their deltas, beside one worker
# search     exact top-10 of a million vectors beside usearch and faiss, of this machine's memory bandwidth
# sts        quality: STS-B with every real model, f32, bf16 and 8 bits, beside the figures that the reference gave
# roofline   an SVG of this machine's peak and bandwidths with a point for each case of products, matmul and search that ran before
# levels     STS-B of float32, bfloat16, 8 and 4 bits at every CPU level of this machine: minutes, the portable level is slow
# update     what an update of 1,000 rows costs in tables of 2^24 rows, and readers' times beside updates
# impressions  what a take from an impression log costs, by how much it holds
# learn      labelled rows an update learns from in a second, beside Vowpal Wabbit
#
# Figures are medians of alternating runs; on a machine that others use, only the ratios mean something.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
export ECREC_DATA=${ECREC_DATA:-$(cd "$top/.." && pwd)/shared/data}
export ECREC_MODELS=${ECREC_MODELS:-$HOME/.cache/ecrec-models}
export ECREC_PEERS=${ECREC_PEERS:-$HOME/.cache/ecrec-peers}
build=$top/build out='' threads=''
benches=() quick=()
while [ $# -gt 0 ]; do
    case $1 in
        --build) build=$2; shift ;;
        --out) out=$2; shift ;;
        --threads) threads=$2; shift ;;
        --quick) quick=(--quick) ;;
        -h|--help) sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        -*) echo "run.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
        *) benches+=("$1") ;;
    esac
    shift
done
[ ${#benches[@]} -gt 0 ] || benches=(encode tokenizers learn frappe rank)
out=${out:-$build/bench}
mkdir -p "$out"

"$top/tests/install.sh" build
"$top/tests/peers.sh" bench
[ -f "$build/build.ninja" ] || meson setup "$build" "$top" >/dev/null
ninja -C "$build" >"$build/ninja.log" 2>&1 || { tail -n 60 "$build/ninja.log" >&2; exit 1; }
python=$ECREC_PEERS/bin/python
tool=$build/examples/ecrec

# each bench: a table on stdout, $out/NAME.json
bench_encode() {
    "$top/examples/fetch-minilm.sh" >/dev/null
    ninja -C "$build" tests/bench/bench_peaks >>"$build/ninja.log"
    "$python" "$here/encode.py" --tool "$tool" --library "$build/lib/libecrec.so.0" --peaks "$build/tests/bench/bench_peaks" \
        --older "$ECREC_PEERS/opt/onnxruntime-1.30.0" --threads "${threads:-1}" --json "$out/encode.json" "${quick[@]}"
}

bench_learn() {
    "$python" "$here/learn.py" --tool "$tool" --json "$out/learn.json" "${quick[@]}"
}

bench_frappe() {
    "$python" "$here/frappe.py" --tool "$tool" --json "$out/frappe.json" "${quick[@]}"
}

# through the library, from Python
library_bench() {
    ECREC_LIBRARY=$build/lib/libecrec.so.0 PYTHONPATH=$top/examples/python "$python" "$here/$1.py" --json "$out/$1.json" "${@:2}"
}

bench_elec2() { library_bench elec2 "${quick[@]}"; }
bench_baskets() { library_bench baskets "${quick[@]}"; }
bench_open_bandit() { library_bench open_bandit; }
minilm() {
    [ -f "$out/minilm.ecrec" ] || "$tool" import "$("$top/examples/fetch-minilm.sh")" -o "$out/minilm.ecrec" >/dev/null
}
bench_movielens() { minilm && library_bench movielens --model "$out/minilm.ecrec" "${quick[@]}"; }
bench_pairs() { minilm && library_bench pairs --model "$out/minilm.ecrec"; }
bench_modality() { minilm && library_bench modality --model "$out/minilm.ecrec" "${quick[@]}"; }
bench_dcn() {
    "$top/tests/install.sh" peers
    library_bench dcn "${quick[@]}"
}

bench_matmul() {
    "$top/tests/install.sh" bench
    ninja -C "$build" tests/bench/bench_matmul >/dev/null
    "$python" "$here/matmul.py" "$build/tests/bench/bench_matmul" --json "$out/matmul.json"
}

bench_search() {
    ninja -C "$build" tests/bench/libbench_peak.so >/dev/null
    ECREC_LIBRARY=$build/lib/libecrec.so.0 PYTHONPATH=$top/examples/python "$python" "$here/search.py" --peak "$build/tests/bench/libbench_peak.so" --threads "$threads" --json "$out/search.json" "${quick[@]}"
}

bench_products() {
    ninja -C "$build" tests/bench/bench_products tests/bench/bench_peaks >/dev/null
    "$python" "$here/products.py" "$build/tests/bench/bench_products" --json "$out/products.json" "${quick[@]}"
}

bench_roofline() {
    ninja -C "$build" tests/bench/libbench_peak.so >/dev/null
    ECREC_LIBRARY=$build/lib/libecrec.so.0 PYTHONPATH=$top/examples/python "$python" "$here/roofline.py" "$build/tests/bench/libbench_peak.so" "$out"
}

bench_levels() {
    "$top/examples/fetch-minilm.sh" >/dev/null
    ECREC_LIBRARY=$build/lib/libecrec.so.0 PYTHONPATH=$top/examples/python "$python" "$here/levels.py" "$tool" "$ECREC_MODELS/all-MiniLM-L6-v2" "$ECREC_DATA/text/sts-b-en/stsb-en-test.csv" --json "$out/levels.json"
}

bench_deltas() {
    ECREC_LIBRARY=$build/lib/libecrec.so.0 PYTHONPATH=$top/examples/python "$python" "$here/deltas.py"
}

bench_sts() {
    "$python" "$here/sts.py" --tool "$tool" --json "$out/sts.json"
}

bench_rank() {
    ninja -C "$build" tests/bench/bench_rank >/dev/null
    "$build/tests/bench/bench_rank"
}

bench_impressions() {
    ninja -C "$build" tests/bench/bench_impressions >/dev/null
    "$build/tests/bench/bench_impressions"
}
bench_update() {
    ninja -C "$build" tests/bench/bench_update >/dev/null
    "$build/tests/bench/bench_update"
}

bench_tokenizers() {
    local all=1
    [ "$(nproc)" = 1 ] || all=1,$(nproc)
    ninja -C "$build" tests/bench/bench_tokenizers >>"$build/ninja.log"
    "$python" -P "$here/tokenizers.py" --tool "$tool" --worker "$build/tests/bench/bench_tokenizers" --threads "${threads:-$all}" --json "$out/tokenizers.json" "${quick[@]}"
}

for name in "${benches[@]}"; do
    declare -F "bench_$name" >/dev/null || { echo "run.sh: there is no bench '$name' (see --help)" >&2; exit 2; }
    echo "== $name"
    "bench_$name"
done
