#!/usr/bin/env bash
# Install what building or testing libecrec needs and this Debian machine lacks. Quiet and quick when nothing is missing.
#
#   tests/install.sh [build] [test] [bench] [peers] [ci]     default: build
#
# Needs root or sudo only when a package is missing. Exit: 0 all there, 3 something is missing and could not be installed.
set -euo pipefail

build=(gcc libc6-dev meson ninja-build pkg-config libblis-dev libutf8proc-dev libzstd-dev libxxhash-dev libjansson-dev libpng-dev libjpeg62-turbo-dev
       python3 python3-venv python3-pip unzip ca-certificates)
test=(libcmocka-dev g++ binutils locales zlib1g-dev git qemu-user golang-go maven default-jdk-headless)
bench=(libdnnl2)
peers=(python3-torch)
ci=(clang libclang-rt-14-dev llvm gcc-aarch64-linux-gnu libc6-dev-arm64-cross)

wanted=()
[ $# -gt 0 ] || set -- build
for set in "$@"; do
    case $set in
        build) wanted+=("${build[@]}") ;;
        test) wanted+=("${test[@]}") ;;
        peers) wanted+=("${peers[@]}") ;;
        bench) wanted+=("${bench[@]}") ;;
        ci) wanted+=("${ci[@]}") ;;
        *) echo "install.sh: '$set' is none of build, test, bench, peers, ci" >&2; exit 2 ;;
    esac
done
# A tool that is there by another way (a Go or JDK of one's own) counts as installed.
declare -A by_command=([gcc]=gcc [g++]=g++ [meson]=meson [ninja-build]=ninja [pkg-config]=pkg-config [python3]=python3
                       [unzip]=unzip [git]=git [golang-go]=go [maven]=mvn [default-jdk-headless]=javac [clang]=clang)
missing=()
for p in "${wanted[@]}"; do
    c=${by_command[$p]:-}
    if [ -n "$c" ] && command -v "$c" >/dev/null 2>&1; then continue; fi
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "install.sh: please install: ${missing[*]}" >&2; exit 3; }
    as_root=(sudo)
fi
echo "installing: ${missing[*]}" >&2
log=$(mktemp)
if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "install.sh: could not install: ${missing[*]}" >&2
    exit 3
fi
rm -f "$log"
