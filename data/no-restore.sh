#!/bin/sh
# Refuses a project disk that is being restored: its restore may have been cut off, and until it is done again nothing else
# is done with the disk. The mark of a restore is a file beside the disk, `<disk>.restoring.<snapshot>`, which is there from
# before the restore's first change until after its last one.
#
# Usage: no-restore.sh <file> [<the snapshot that it may be being restored to>]
set -eu

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"

for mark in "$1".restoring.*; do
  snapshot=${mark##*.restoring.}
  [ -e "$mark" ] || continue
  [ "$snapshot" != "${2:-}" ] || continue
  project=$(basename "$(dirname "$1")")
  fail "$1" "must first be restored to its snapshot $snapshot: that restore was cut off, or has not ended yet" \
    "project-vm snapshot restore $project $snapshot"
done
