#!/bin/sh
# Prints the size and the name of each file in a project's folder of backups, if that is there. Only reads; what may not be known is an
# error.
#
# Usage: list-backups.sh <folder>
set -eu
export LC_ALL=C

mounted=$(cat "${0%/*}/mounted.sh")
sh -c "$mounted" "${0%/*}/mounted.sh" --beside "$1" "$1"
# Not `test`, to which what may not be seen is not there.
if ! found=$(ls -d "$1" 2>&1); then
  case $found in
    *'No such file'* | *'Not a directory'*) exit 0 ;;
    *) echo "$found" >&2 && exit 1 ;;
  esac
fi
cd "$1"
ls >/dev/null
found=$(stat -c '%s %n' ./* 2>&1) || {
  unknown=$(printf '%s\n' "$found" | grep -v -e '^[0-9]* \./' -e 'No such file' || true)
  [ -z "$unknown" ] || { echo "$unknown" >&2 && exit 1; }
}
# Without those that went meanwhile.
printf '%s\n' "$found" | grep '^[0-9]* \./' || :
