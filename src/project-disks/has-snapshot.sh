#!/bin/sh
# How the scripts of this folder look for a snapshot of a project disk. Each of them evaluates this text.

# Also while a program has the disk. 1: it is not there, 2: that is not known.
# Usage: has_snapshot <disk> <snapshot>
has_snapshot() {
  snapshots=$(qemu-img snapshot -U -l "$1") || return 2
  printf '%s\n' "$snapshots" | awk -v name="$2" 'NF > 1 && $2 == name { found = 1 } END { exit !found }'
}
