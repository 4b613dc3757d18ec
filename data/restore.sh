#!/bin/sh
# Brings a project disk, which no VM uses, back to one of its snapshots: the state of now becomes a snapshot too, and
# the disk does not become smaller than it was. Then the VM is started, if one is named. Can be done again from
# wherever it was cut off.
#
# Usage: restore.sh <file> <snapshot> <snapshot of now> <least size in bytes> <libvirt URI> [<domain to start>]
set -eu

# One that was cut off goes on to its end here: whoever comes later waits for it, so that the last one counts.
exec 9<"$(dirname "$1")"
flock 9
# A disk of qcow2's old format could not become bigger once it has snapshots.
qemu-img amend -q -f qcow2 -o compat=1.1 "$1"
qemu-img snapshot -c "$3" "$1"
qemu-img snapshot -a "$2" "$1"
# Without --shrink it refuses to make a disk smaller.
qemu-img resize -q -f qcow2 "$1" "$4"
[ -z "${6:-}" ] || virsh -q -c "$5" start "$6" 9<&-
