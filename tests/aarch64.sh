#!/usr/bin/env bash
# The library on AArch64 under qemu: cross-compiled with Debian's compiler and arm64 libraries (installed when they are not
# there and this may), the kernel suite and what of the conformance suite an emulator gets through in minutes, and the portable level's vectors of
# whole models (of real ones MiniLM) against this machine's, bit by bit. The last line is "N passed, N failed, N skipped".
#
#   tests/aarch64.sh [BUILD-FOLDER [NATIVE-BUILD-FOLDER]]
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(realpath -m "${1:-$top/build-ci/aarch64}") native=$(realpath -m "${2:-$top/build}")
packages=(gcc-aarch64-linux-gnu qemu-user libzstd-dev:arm64 libutf8proc-dev:arm64 libcmocka-dev:arm64 libxxhash-dev:arm64)
if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then sudo=(); else sudo=(sudo -n); fi
    "${sudo[@]}" dpkg --add-architecture arm64
    "${sudo[@]}" apt-get update -q >&2
    "${sudo[@]}" apt-get install -y -q --no-install-recommends "${packages[@]}" >&2
fi
[ -f "$out/build.ninja" ] || meson setup "$out" "$top" --cross-file "$top/tests/cross/aarch64.ini" -Dblis=disabled -Dtool=disabled >&2
ninja -C "$out" >&2
ninja -C "$native" tests/abi/everywhere >&2
# emulated, one real model takes as long as all of them do natively: MiniLM stands for them
mkdir -p "$out/models"
ln -sfn "${ECREC_MODELS:-$HOME/.cache/ecrec-models}/all-MiniLM-L6-v2" "$out/models/all-MiniLM-L6-v2"
export ECREC_MODELS=$out/models
tests=("kernel levels" "products of bfloat16" "exact search" "same bits in any batch" "a host's modes, forks and threads" "tokenizers" "architectures" "gradients")
[ -z "${ECREC_THOROUGH:-}" ] || tests=(--suite kernels --suite conformance) # hours
passed=0 failed=0 skipped=0
meson test -C "$out" --no-rebuild --print-errorlogs --timeout-multiplier 20 "${tests[@]}" >&2 || true
# a program with a skipped cmocka test in it exits as passed; what an emulator cannot do is named here and not counted as skipped
cannot="fork_after_creation"
while read -r result; do
    case $result in OK|EXPECTEDFAIL) passed=$((passed + 1)) ;; SKIP) skipped=$((skipped + 1)) ;; *) failed=$((failed + 1)) ;; esac
done < <(python3 -c 'import json, re, sys
for line in open(sys.argv[1], encoding="utf-8"):
    test = json.loads(line)
    inside = set(re.findall(r"\[  SKIPPED \] ([a-z]\w*)$", (test.get("stdout") or "") + (test.get("stderr") or ""), re.M))
    if inside:
        print("in", test["name"], "skipped:", ", ".join(sorted(inside)), file=sys.stderr)
    print("SKIP" if inside - set(sys.argv[2].split()) else test["result"])' "$out/meson-logs/testlog.json" "$cannot")
# the same bits of encoded vectors, of quantised and pruned models', and of scores after learning
results() { grep ' first '; }
model=$ECREC_MODELS/all-MiniLM-L6-v2
here=$("$native/tests/abi/everywhere" 1 "$model" | results) there=$(qemu-aarch64 -cpu max "$out/tests/abi/everywhere" 1 "$model" | results)
printf 'portable, here:\n%s\nportable, AArch64:\n%s\n' "$here" "$there" >&2
if [ "$(wc -l <<<"$here")" = 7 ] && [ "$here" = "$there" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 2 ]
