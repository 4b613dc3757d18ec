#!/bin/sh
# Refuses a project disk that is being restored: its restore may have been cut off, and until it is done again nothing else
# is done with the disk. The mark of a restore is a file beside the disk, `<disk>.restoring.<snapshot>`, which is there from
# before the restore's first change until after its last one; its first line is the name of the snapshot of the state before.
# Where the mark's snapshot is gone, that restore cannot be done again: then one to any other snapshot makes the disk whole.
#
# Usage: no-restore.sh <file> [<the snapshot that it is to be restored to>]
# Prints the snapshot of the mark that it lets pass, if one stands.
set -eu

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"
has_snapshot=$(cat "${0%/*}/has-snapshot.sh")
eval "$has_snapshot"

# What cannot be read may well be there.
is_gone() {
  status=0
  has_snapshot "$disk" "$1" 2>/dev/null || status=$?
  [ "$status" -eq 1 ]
}

refuse_gone() {
  fail "$disk" "must first be restored to another snapshot: its restore to $snapshot was cut off, that snapshot is gone, and what the disk holds may be half of two states" \
    "$1; or bring it back to any other one: project-vm snapshot list $project"
}

disk=$1 wanted=${2:-}
project=$(basename "$(dirname "$disk")")
standing=''
for mark in "$disk".restoring.*; do
  snapshot=${mark##*.restoring.}
  [ -e "$mark" ] || continue
  by_itself=$(cat "${0%/*}/by-itself.sh")
  sh -c "$by_itself" "${0%/*}/by-itself.sh" "$disk"
  if is_gone "$snapshot"; then
    before=$(head -n 1 "$mark")
    if ! is_gone "$before"; then
      case $wanted in
        '' | "$snapshot") refuse_gone "bring it back to what it held before: project-vm snapshot restore $project $before" ;;
      esac
    elif [ -z "$wanted" ]; then
      refuse_gone "have what it holds kept as a snapshot: project-vm snapshot restore $project $snapshot"
    fi
  elif [ "$snapshot" != "$wanted" ]; then
    fail "$disk" "must first be restored to its snapshot $snapshot: that restore was cut off, or has not ended yet" \
      "project-vm snapshot restore $project $snapshot"
  fi
  standing=$snapshot
done
[ -z "$standing" ] || printf '%s\n' "$standing"
