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

# Whether no other user can have put a link there: it is root's or this user's, as is all above it. So config/folder-rights.ts has it.
is_trusted() {
  step=$1
  while :; do
    [ -n "$(find "${step:-/}" -prune '(' -uid 0 -o -uid "$user" -o -uid "${SUDO_UID:-0}" ')' \
      '(' -type l -o -perm -1000 -o ! -perm -002 '(' ! -perm -020 -o -gid 0 -o -gid "$group" ')' ')')" ] || return
    [ -n "$step" ] || return 0
    step=${step%/*}
  done
}

# Where a path leads, behind trusted links; fails at another one, by which its user would say what is to be mounted where.
follow() {
  rest=$1 way='' left=40
  while [ -n "$rest" ]; do
    step=${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest='' ;; esac
    case $step in
      '' | .) continue ;;
      ..) way=${way%/*} && continue ;;
    esac
    way=$way/$step
    [ -L "$way" ] || continue
    left=$((left - 1))
    [ "$left" -gt 0 ] && is_trusted "$way" || return
    to=$(readlink -- "$way")
    rest=$to/$rest
    case $to in /*) way='' ;; *) way=${way%/*} ;; esac
  done
  printf '%s\n' "$way"
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

user=$(id -u) group=$(id -g)
points=$(wanted | while IFS=' ' read -r name at; do ! at=$(follow "$at") || printf '%s %s\n' "$name" "$at"; done)
[ -n "$points" ] || exit 0
# Any user may mount something of theirs (FUSE), with a line break in its place's name; such a one is asked for by nobody.
mounted=$(cut -d ' ' -f 5 "$MOUNTS" | sed '/\\012/d' | octal | while read -r at; do printf '%b\n' "$at"; done)
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
