#!/usr/bin/env bash
# Runs test programs as a host with a comma-decimal locale: de_DE.UTF-8 is made in a folder of its own, and support.c calls
# setlocale when ECREC_LOCALE says so.
#
#   locale.sh PROGRAM...
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
localedef -i de_DE -f UTF-8 "$folder/de_DE.UTF-8" 2>"$folder/log" || { cat "$folder/log" >&2; [ -d "$folder/de_DE.UTF-8" ] || exit 1; }
export LOCPATH=$folder ECREC_LOCALE=de_DE.UTF-8
for program in "$@"; do
    "$program" >"$folder/log" 2>&1 || { cat "$folder/log"; echo "$program fails under de_DE.UTF-8" >&2; exit 1; }
done
echo "$# programs pass under de_DE.UTF-8"
