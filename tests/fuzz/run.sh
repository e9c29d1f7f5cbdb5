#!/usr/bin/env bash
# Explores every fuzz target with libFuzzer (and the sanitizers of the build) for some seconds each.
#
#   tests/fuzz/run.sh [--build DIR] [--seconds N] [TARGET ...]     default: build-fuzz, 10, all
#
# Inputs that fail are left in DIR/failures; put them into tests/fuzz/corpus/TARGET with the fix. The last line is "N passed, N failed".
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$top/build-fuzz seconds=10 names=()
while [ $# -gt 0 ]; do
    case $1 in
        --build) build=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        -h|--help) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) names+=("$1") ;;
    esac
    shift
done
if [ ! -f "$build/build.ninja" ]; then
    CC=clang meson setup "$build" "$top" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized >/dev/null
fi
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
cd "$build"
mapfile -t all < <(ninja -t targets all | sed -n 's|^tests/fuzz/fuzz_\([a-z_]*\): .*|\1|p' | sort -u)
[ ${#names[@]} -gt 0 ] || names=("${all[@]}")
targets=()
for name in "${names[@]}"; do targets+=("tests/fuzz/fuzz_$name" "tests/fuzz/fuzzed_$name"); done
ninja "${targets[@]}" >ninja.log 2>&1 || { tail -n 40 ninja.log >&2; echo "0 passed, 1 failed"; exit 1; }
passed=0 failed=0
mkdir -p failures
for name in "${names[@]}"; do
    corpus=$build/corpus/$name
    mkdir -p "$corpus"
    "tests/fuzz/fuzzed_$name" --write "$corpus" >/dev/null
    extra=()
    [ ! -d "$top/tests/fuzz/corpus/$name" ] || extra=("$top/tests/fuzz/corpus/$name")
    if "tests/fuzz/fuzz_$name" "$corpus" "${extra[@]}" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix="failures/$name-" >"$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "$name: $(grep -E '^Done|DONE' "$name.log" | tail -n 1)"
    else
        failed=$((failed + 1))
        echo "$name fails:"
        tail -n 40 "$name.log"
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
