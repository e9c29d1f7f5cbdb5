#!/usr/bin/env bash
# What takes minutes and so is not in the default run, where a short one of each is. Names of parts, default: all.
#
#   tests/long.sh [threads] [kills] [properties] [floats]
#
# threads     60 s of 8 readers at full speed beside all that writes, and of scores that are those of published snapshots, under ThreadSanitizer
# kills       1,000 kills of a learner with journal, remembered rows and impression log; 1,000 of one with a journal alone
# properties  2,000 random rankers through all that one does, under AddressSanitizer and UndefinedBehaviorSanitizer
# floats      exp and GELU of all 2^32 floats at every level of this processor: 10 minutes of processor time
# Exit: 0 all held. The last line is "N passed, N failed".
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$top/build-long
export CCACHE_NOHASHDIR=1
passed=0 failed=0
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(threads kills properties floats)

# built FOLDER TARGET... -- [meson options]
built() {
    local folder=$work/$1 targets=(); shift
    while [ "$1" != -- ]; do targets+=("$1"); shift; done
    shift
    [ -f "$folder/build.ninja" ] || meson setup "$folder" "$top" "$@" >"$folder.log" 2>&1 || { cat "$folder.log"; return 1; }
    ninja -C "$folder" "${targets[@]}" >"$folder.log" 2>&1 || { tail -n 40 "$folder.log"; return 1; }
}

holds() {
    echo "=== $*"
    if env "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $*"; fi
}

mkdir -p "$work"
for part in "${parts[@]}"; do
    case $part in
    threads)
        built tsan tests/threads/test_soak tests/threads/test_readers -- -Db_sanitize=thread -Db_lundef=false -Dbuildtype=debugoptimized || { failed=$((failed + 1)); continue; }
        holds TSAN_OPTIONS=halt_on_error=1 ECREC_SECONDS=60 "$work/tsan/tests/threads/test_soak"
        holds TSAN_OPTIONS=halt_on_error=1 ECREC_SECONDS=60 "$work/tsan/tests/threads/test_readers" ;;
    kills)
        built plain tests/journal/test_kills tests/journal/test_journal -- -Dbuildtype=release || { failed=$((failed + 1)); continue; }
        holds ECREC_KILLS=1000 "$work/plain/tests/journal/test_kills"
        holds ECREC_KILLS=1000 "$work/plain/tests/journal/test_journal" ;;
    properties)
        built address tests/properties/test_random_rankers -- -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized || { failed=$((failed + 1)); continue; }
        holds ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ECREC_SEEDS=2000 "$work/address/tests/properties/test_random_rankers" ;;
    floats)
        built plain tests/kernels/every_float -- -Dbuildtype=release || { failed=$((failed + 1)); continue; }
        for function in exp gelu; do
            holds "$work/plain/tests/kernels/every_float" "$function" "$(nproc)"
        done ;;
    *) echo "long.sh: \"$part\" is none of: threads kills properties floats" >&2; exit 2 ;;
    esac
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
