#!/usr/bin/env bash
# Install what is missing, build, run every test. One command, from any folder.
#
#   tests/run.sh [--build DIR] [--suite NAME]... [meson setup options]
#
# ECREC_DATA    folder of the real data (default: ../shared/data beside the checkout); tests of a set that is not there are skipped
# ECREC_MODELS  folder of the real models (default: ~/.cache/ecrec-models); fetched when they can be
# ECREC_REQUIRE_DATA=1  a skipped test is a failure
# Exit: 0 all passed. The last line is "N passed, N failed, N skipped".
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ECREC_DATA=${ECREC_DATA:-$(cd "$top/.." && pwd)/shared/data}
export ECREC_MODELS=${ECREC_MODELS:-$HOME/.cache/ecrec-models}
export ECREC_PEERS=${ECREC_PEERS:-$HOME/.cache/ecrec-peers}
build=$top/build
suites=() setup=()
while [ $# -gt 0 ]; do
    case $1 in
        --build) build=$2; shift ;;
        --suite) suites+=(--suite "$2"); shift ;;
        -h|--help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) setup+=("$1") ;;
    esac
    shift
done

"$top/tests/install.sh" build test
"$top/examples/fetch-minilm.sh" >/dev/null || echo "run.sh: no MiniLM: its tests are skipped" >&2
fetch=$ECREC_DATA/../models/fetch
if [ -f "$fetch" ]; then
    bash "$fetch" "$ECREC_MODELS" 2>&1 | grep -v 'is there and right' >&2 || true
fi
# the reference tokenizer and NumPy, for differential and binding tests
"$top/tests/peers.sh" test >&2 || echo "run.sh: no peers: tests against them are skipped" >&2
[ ! -x "$ECREC_PEERS/bin/python" ] || setup+=("-Dpeers_python=$ECREC_PEERS/bin/python")

if [ -f "$build/build.ninja" ]; then
    meson configure "$build" "${setup[@]}" >/dev/null
else
    meson setup "$build" "$top" "${setup[@]}" >"$top/.setup.log" 2>&1 || { cat "$top/.setup.log" >&2; exit 1; }
    rm -f "$top/.setup.log"
fi
ninja -C "$build" >"$build/ninja.log" 2>&1 || { tail -n 60 "$build/ninja.log" >&2; echo "0 passed, 1 failed"; exit 1; }
grep -n 'warning:' "$build/ninja.log" >&2 || true

code=0
meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier "${ECREC_TIMEOUT:-1}" "${suites[@]}" || code=$?
python3 - "$build/meson-logs/testlog.json" "$code" <<'PY'
import json, os, sys
passed = failed = skipped = 0
names = []
for line in open(sys.argv[1], encoding="utf-8"):
    result = json.loads(line)
    # a program with a skipped cmocka test in it exits as passed
    if result["result"] in ("OK", "EXPECTEDFAIL") and "[  SKIPPED ]" in (result.get("stdout") or "") + (result.get("stderr") or ""):
        skipped += 1
        names.append(result["name"])
    elif result["result"] in ("OK", "EXPECTEDFAIL"):
        passed += 1
    elif result["result"] == "SKIP":
        skipped += 1
        names.append(result["name"])
    else:
        failed += 1
if os.environ.get("ECREC_REQUIRE_DATA") == "1" and skipped:
    print("skipped although data is required: " + ", ".join(names))
    failed, skipped = failed + skipped, 0
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or (int(sys.argv[2]) and not skipped) or not passed else 0)
PY
