#!/usr/bin/env bash
# The same build on an older processor: under qemu, with the level that this processor gives, the results are the same bits as
# here with that level alone.
#
#   emulated.sh QEMU CPU LEVEL PROGRAM
set -euo pipefail
qemu=$1 cpu=$2 level=$3 program=$4
here=$("$program" "$level")
there=$("$qemu" -cpu "$cpu" "$program" 0)
echo "here, $level alone:"; echo "$here"
echo "$cpu:"; echo "$there"
results() { grep ' first ' <<<"$1"; }
[ "$(results "$here" | wc -l)" = 6 ] && [ "$(results "$here")" = "$(results "$there")" ]
