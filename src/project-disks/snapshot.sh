#!/bin/sh
# Makes or deletes a snapshot of a project disk which no VM uses: qemu-img locks it, and fails if a VM does.
#
# Usage: snapshot.sh <create|delete> <file> <snapshot>
set -eu

LOCK=600 # seconds to wait for another program that works on the disk

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"

create() {
  # A disk of qcow2's old format could not become bigger once it has snapshots.
  qemu-img amend -q -f qcow2 -o compat=1.1 "$1"
  qemu-img snapshot -c "$2" "$1"
}

delete() { qemu-img snapshot -d "$2" "$1"; }

action=$1 disk=$2 snapshot=$3
folder=$(dirname "$disk")
exec 9<"$folder"
flock -w "$LOCK" 9 ||
  fail "$folder" "must be released within $LOCK s by the program that works on the disk" "wait until that has ended; which one it is: fuser -v $(shell_word "$folder")"
no_restore=$(cat "${0%/*}/no-restore.sh")
sh -c "$no_restore" "${0%/*}/no-restore.sh" "$disk"
by_itself=$(cat "${0%/*}/by-itself.sh")
sh -c "$by_itself" "${0%/*}/by-itself.sh" "$disk"
case $action in
  create) create "$disk" "$snapshot" ;;
  delete) delete "$disk" "$snapshot" ;;
esac
