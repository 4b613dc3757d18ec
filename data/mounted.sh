#!/bin/sh
# Refuses a place on a disk that is not mounted now: one at or below a mount point that /etc/fstab or a mount unit of systemd names, with
# nothing mounted there. What is there then is on the disk below, and what is not there may well be on the one that is away.
#
# Usage: mounted.sh <path>...
set -eu
export LC_ALL=C.UTF-8 LANGUAGE=

FSTAB=/etc/fstab
UNITS="/etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system"
MOUNTS=/proc/self/mountinfo

# What is wrong, which rule it breaks, what to do.
fail() {
  printf 'error: %s: %s\nremedy: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

# In fstab and mountinfo a blank is \040, and printf reads \0040.
octal() { sed 's/\\\([0-7]\{3\}\)/\\0\1/g'; }

# The mount points that are to be, one a line: `mount <path>`, or `<unit> <path>`.
wanted() {
  [ ! -r "$FSTAB" ] || sed 's/^[[:blank:]]*//; /^#/d' "$FSTAB" | octal | while read -r _ at _; do
    case $at in /?*) printf 'mount %b\n' "$at" ;; esac
  done
  for folder in $UNITS; do
    for unit in "$folder"/*.mount; do
      [ -r "$unit" ] || continue
      at=$(sed -n 's/^Where=//p' "$unit")
      [ -z "$at" ] || printf '%s %s\n' "${unit##*/}" "$at"
    done
  done
}

# The one of them that a path without links is on.
nearest_to() {
  by='' nearest=''
  while IFS=' ' read -r name at; do
    [ "${#at}" -gt "${#nearest}" ] || continue
    case $1/ in "$at"/*) by=$name nearest=$at ;; esac
  done <<END
$points
END
}

points=$(wanted | while IFS=' ' read -r name at; do printf '%s %s\n' "$name" "$(readlink -m -- "$at")"; done)
[ -n "$points" ] || exit 0
mounted=$(cut -d ' ' -f 5 "$MOUNTS" | octal | while read -r at; do printf '%b\n' "$at"; done)
readlink -m -- "$@" | while IFS= read -r real; do
  path=$1
  shift
  nearest_to "$real"
  [ -n "$nearest" ] || continue
  ! printf '%s\n' "$mounted" | grep -qxF -- "$nearest" || continue
  case $by in
    mount) by=$FSTAB how="mount '$nearest'" ;;
    *) how="systemctl start '$by'" ;;
  esac
  fail "$path" "must be on what $by mounts at $nearest, but nothing is mounted there now" \
    "mount it: $how; if there is no such disk any more, take it out of $by"
done
