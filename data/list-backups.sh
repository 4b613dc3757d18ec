#!/bin/sh
# Prints the size and the name of each file in a project's folder of backups, if that is there. Only reads; what may not be known is an
# error.
#
# Usage: list-backups.sh <folder>
set -eu
export LC_ALL=C

mounted=$(cat "${0%/*}/mounted.sh")
sh -c "$mounted" mounted.sh "$1"
[ -e "$1" ] || exit 0
cd "$1"
ls >/dev/null
stat -c '%s %n' ./* 2>/dev/null || :
