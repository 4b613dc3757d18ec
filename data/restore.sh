#!/bin/sh
# Brings a project disk, which no VM uses, back to one of its snapshots: the state of now becomes a snapshot too, and
# the disk does not become smaller than it was. Then the VM is started, if one is named. Can be done again from
# wherever it was cut off.
#
# Usage: restore.sh <file> <snapshot> <snapshot of now> <least size in bytes> <libvirt URI> [<domain to start>]
set -eu

LOCK=600  # seconds to wait for another program that works on the disk
START=120 # for libvirt to start the VM

# What is wrong, which rule it breaks, what to do.
fail() {
  printf 'error: %s: %s\nremedy: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

start() {
  timeout -k 5 "$START" virsh -q -c "$1" start "$2" 9<&- && return
  status=$?
  [ "$status" -lt 124 ] || echo "libvirt has not started $2 within $START s" >&2
  exit "$status"
}

# One that was cut off goes on to its end here: whoever comes later waits for it, so that the last one counts.
folder=$(dirname "$1")
exec 9<"$folder"
flock -w "$LOCK" 9 ||
  fail "$folder" "must be released within $LOCK s by the program that works on the disk" "wait until that has ended; which one it is: fuser -v '$folder'"
# A disk of qcow2's old format could not become bigger once it has snapshots.
qemu-img amend -q -f qcow2 -o compat=1.1 "$1"
qemu-img snapshot -c "$3" "$1"
qemu-img snapshot -a "$2" "$1"
# Without --shrink it refuses to make a disk smaller.
qemu-img resize -q -f qcow2 "$1" "$4"
[ -z "${6:-}" ] || start "$5" "$6"
