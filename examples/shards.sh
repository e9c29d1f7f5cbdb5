#!/usr/bin/env bash
# Several processes learn a shard of the rows each; their deltas are merged into what all of them learned, round after round.
#
#   examples/shards.sh SCHEMA.json ROWS.tsv OUT.ecrec [WORKERS] [ROUNDS]      default: 8 workers, 1 round
#
# In a round each worker takes the next part of its shard. Everything goes by files (model, journals, deltas), so workers may as well be machines.
# ecrec is taken from PATH.
set -euo pipefail
schema=$1 rows=$2 out=$3 workers=${4:-8} rounds=${5:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ecrec new --schema "$schema" -o "$work/base.ecrec" >/dev/null

# row i goes to worker i mod WORKERS; each worker's rows are cut into ROUNDS parts
awk -v w="$workers" -v r="$rounds" -v n="$(($(wc -l <"$rows") - 1))" -v to="$work" '
    NR == 1 { for (i = 0; i < w; i++) for (k = 0; k < r; k++) print > (to "/" i "." k ".tsv"); next }
    { i = (NR - 2) % w; k = int((NR - 2) * r / n); print > (to "/" i "." k ".tsv") }' "$rows"

learn() { # WORKER ROUND: what it learned, as a delta
    rm -f "$work/$1.journal"
    ecrec update "$work/base.ecrec" -i "$work/$1.$2.tsv" --journal "$work/$1.journal" --max-loss-growth 100 --threads 1 >/dev/null
    ecrec delta export "$work/base.ecrec" --journal "$work/$1.journal" -o "$work/$1.delta"
}

for ((round = 0; round < rounds; round++)); do
    running=()
    for ((worker = 0; worker < workers; worker++)); do
        learn "$worker" "$round" &
        running+=($!)
    done
    for process in "${running[@]}"; do wait "$process"; done
    ecrec delta merge "$work/base.ecrec" "$work"/*.delta -o "$work/merged"
    ecrec delta apply "$work/base.ecrec" "$work/merged" -o "$work/next.ecrec" >/dev/null
    mv "$work/next.ecrec" "$work/base.ecrec"
done
mv "$work/base.ecrec" "$out"
