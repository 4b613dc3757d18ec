#!/bin/sh
# Refuses a place on a disk that is not mounted now: one at or below a mount point that /etc/fstab or a mount unit of systemd names, with
# nothing mounted there. What is there then is on the disk below, and what is not there may well be on the one that is away.
# What is mounted by hand alone (noauto) is not missed where a file is there that would be on it.
#
# Usage: mounted.sh [--beside <file>] <path>...
set -eu
export LC_ALL=C.UTF-8 LANGUAGE=

FSTAB=/etc/fstab
UNITS="/etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system"
MOUNTS=/proc/self/mountinfo

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"

# In fstab and mountinfo a blank is \040, and printf reads \0040.
octal() { sed 's/\\\([0-7]\{3\}\)/\\0\1/g'; }

# The mount points that are to be, one a line: `<auto, or hand> <mount, or the unit> <path>`.
wanted() {
  [ ! -r "$FSTAB" ] || sed 's/^[[:blank:]]*//; /^#/d' "$FSTAB" | octal | while read -r _ at _ options _ || [ -n "$at" ]; do
    when=auto
    case ,$options, in
      *,x-systemd.automount,*) ;;
      *,noauto,*) when=hand ;;
    esac
    case $at in /?*) printf '%s mount %b\n' "$when" "${at%/}" ;; esac
  done
  for folder in $UNITS; do
    for unit in "$folder"/*.mount; do
      [ -r "$unit" ] || continue
      at=$(sed -n 's/^Where=//p' "$unit")
      [ -z "$at" ] || printf '%s %s %s\n' "$(unit_starts "${unit##*/}")" "${unit##*/}" "$at"
    done
  done
}

# `auto` for a mount unit that systemd starts by itself, else `hand`.
unit_starts() {
  for folder in $UNITS; do
    for start in "$folder"/*.wants/"$1" "$folder"/*.requires/"$1" "$folder/${1%.mount}.automount"; do
      if [ -e "$start" ] || [ -L "$start" ]; then echo auto && return; fi
    done
  done
  echo hand
}

# Whether no other user can have put a link there: it is root's or this user's, as is all above it. So src/core/folder-rights.ts has it.
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

# A path without links, whoever made them. Older BusyBox has no -m.
real_path() { readlink -m -- "$1" 2>/dev/null || follow "$1" || printf '%s\n' "$1"; }

# The one of them that a path without links is on.
nearest_to() {
  when='' by='' nearest=''
  while IFS=' ' read -r starts name at; do
    [ "${#at}" -gt "${#nearest}" ] || continue
    case $1/ in "$at"/*) when=$starts by=$name nearest=$at ;; esac
  done <<END
$points
END
}

# What is mounted, without what systemd would mount there once it is looked at. Any user may mount something of theirs (FUSE), with a line
# break in its place's name: what another user has mounted does not count.
now_mounted() {
  awk -v mine=" 0 $user ${SUDO_UID:-0} " '
    { for (i = 7; i < NF && $i != "-"; i++) continue }
    { owner = match($NF, /,user_id=[0-9]+/) ? substr($NF, RSTART + 9, RLENGTH - 9) : 0 }
    $(i + 1) != "autofs" && index(mine, " " owner " ") { print $5 }' "$MOUNTS" |
    sed '/\\012/d' | octal | while read -r at; do printf '%b\n' "$at"; done
}

# Whether something is mounted at the point that a path without links is on, or nearer to the path.
is_on_mount() {
  while IFS= read -r at; do
    case $at/ in "$nearest"/*) ;; *) continue ;; esac
    case $1/ in "$at"/*) return 0 ;; esac
  done <<END
$mounted
END
  return 1
}

beside=''
[ "$1" != --beside ] || { beside=$2 && shift 2; }
user=$(id -u) group=$(id -g)
[ -r "$MOUNTS" ] || exit 0 # nothing is known without /proc
for path; do
  ls -d "$path/." >/dev/null 2>&1 || true # systemd mounts it now
done
mounted=$(now_mounted)
# What is mounted has no links on its way, and is not looked at: it may be a share whose server is away.
points=$(wanted | while IFS=' ' read -r starts name at; do
  printf '%s\n' "$mounted" | grep -qxF -- "$at" || at=$(follow "$at") || continue
  printf '%s %s %s\n' "$starts" "$name" "$at"
done)
[ -n "$points" ] || exit 0
spared=''
if [ -e "$beside" ]; then
  nearest_to "$(real_path "$beside")"
  [ "$when" != hand ] || spared=$nearest
fi
for path; do
  real=$(real_path "$path")
  nearest_to "$real"
  if [ "$nearest" = "$spared" ] || [ -z "$nearest" ] || is_on_mount "$real"; then continue; fi
  case $by in
    mount) by=$FSTAB how="mount $(shell_word "$nearest")" ;;
    *) how="systemctl start $(shell_word "$by")" ;;
  esac
  fail "$path" "must be on what $by mounts at $nearest, but nothing is mounted there now" \
    "mount it: $how; if there is no such disk any more, take it out of $by"
done
