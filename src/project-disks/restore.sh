#!/bin/sh
# Brings a project disk, which no VM uses, back to one of its snapshots: the state of now becomes a snapshot too, and
# the disk does not become smaller than it was. Then the VM is started, if one is named.
# Cut off, it leaves an image whose reference counts may be wrong, and its mark (see no-restore.sh): done again, it mends
# the image first.
#
# Usage: restore.sh <file> <snapshot> <snapshot of now> <least size in bytes> <libvirt URI> [<domain to start>]
# Prints the name of the snapshot that has what was there before.
set -eu
umask 077
export LC_ALL=C.UTF-8 LANGUAGE=

LOCK=600  # seconds to wait for another program that works on the disk
START=120 # for libvirt to start the VM
ANSWER=60 # for it to answer

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"
has_snapshot=$(cat "${0%/*}/has-snapshot.sh")
eval "$has_snapshot"

start() {
  timeout -k 5 "$START" virsh -q -c "$uri" start "$1" >&2 9<&- && return
  status=$?
  [ "$status" -lt 124 ] || echo "libvirt has not started $1 within $START s" >&2
  exit "$status"
}

# What an update sees of the mark it sees as a volume.
show_mark() {
  timeout -k 5 "$ANSWER" virsh -q -c "$uri" pool-refresh "project-$project" >/dev/null 2>&1 9<&- ||
    echo "$project: libvirt does not show whether the restore has ended: its pool cannot be refreshed" >&2
}

starts_with_host() {
  listed=$(timeout -k 5 "$ANSWER" virsh -q -c "$uri" list --all --autostart --name 9<&-) ||
    fail "$uri" "must tell within $ANSWER s which VMs start with it" "look at libvirt there; then run this again"
  printf '%s\n' "$listed" | grep -qxF "project-$project"
}

# After a power cut libvirt would start such a VM past the mark, which has noted that.
hold_autostart() {
  ! grep -qxF autostart "$mark" ||
    timeout -k 5 "$ANSWER" virsh -q -c "$uri" autostart --disable "project-$project" >&2 9<&- ||
    echo "project-$project still starts with its host: do not let that start before this is done" >&2
}

release_autostart() {
  ! grep -qxF autostart "$mark" ||
    timeout -k 5 "$ANSWER" virsh -q -c "$uri" autostart "project-$project" >&2 9<&- ||
    echo "project-$project does not start with its host any more: virsh -c $(shell_word "$uri") autostart project-$project" >&2
}

# Whole and on the host's disk before the first change; `$1` is the snapshot that is made first.
mark() {
  echo "$1" >"$disk.restoring-new"
  ! starts_with_host || echo autostart >>"$disk.restoring-new"
  sync "$disk.restoring-new"
  mv "$disk.restoring-new" "$mark"
  sync "$folder"
  hold_autostart
  show_mark
}

unmark() {
  sync "$disk"
  release_autostart
  rm "$mark"
  sync "$folder"
  show_mark
}

# It may have been deleted since this was asked for, as while its guest was shut down: then there is nothing to be marked.
require_snapshot() {
  has_snapshot "$disk" "$snapshot" ||
    fail "$disk" "must have the snapshot $snapshot, which is gone since this was asked for; the disk is as it was" "take another one: project-vm snapshot list $project"
}

# What fails by itself has changed nothing that counts; what is killed leaves the mark.
keep_now() {
  qemu-img snapshot -c "$1" "$disk" && return
  status=$?
  [ "$status" -gt 128 ] || unmark
  exit "$status"
}

has_bitmaps() { printf '%s\n' "$info" | grep -qx ' *bitmaps:'; }

# No restore goes past persistent bitmaps, which libvirt's checkpoints are: `qemu-img snapshot -a` refuses them.
refuse_bitmaps() {
  fail "$disk" "must have no persistent bitmaps, as checkpoints of libvirt are: no restore goes past them, and a repair would take all snapshots" "$1"
}

without_bitmaps() {
  echo "give them up, which takes nothing of what is on the disk: for each that qemu-img info $(shell_word "$disk") names, qemu-img bitmap --remove $(shell_word "$disk") <name> and, if it is a checkpoint's, virsh -c $(shell_word "$uri") checkpoint-delete project-$project <name> --metadata; then try again"
}

read_info() { info=$(qemu-img info -f qcow2 "$disk" 2>&1) || { printf '%s\n' "$info" >&2 && exit 1; }; }

begin() {
  require_snapshot
  # A disk of qcow2's old format could not become bigger once it has snapshots.
  qemu-img amend -q -f qcow2 -o compat=1.1 "$disk"
  read_info
  ! has_bitmaps || refuse_bitmaps "$(without_bitmaps)"
  before=$now
  mark "$before"
  keep_now "$before"
}

# A repair opens the image without its snapshots: should QEMU have to write the header then, for bitmaps or features that are no more
# valid, it writes that there are none, and frees them (seen with QEMU 7.2). Any other program of its writes it with them.
settle_header() {
  read_info
  if has_bitmaps; then
    status=0
    qemu-img check -q -f qcow2 "$disk" >/dev/null 2>&1 || status=$?
    case $status in
      0 | 3) refuse_bitmaps "$(without_bitmaps)" ;;
      *) refuse_bitmaps "copy what is needed out of it: qemu-img convert -l <snapshot> -O qcow2 $(shell_word "$disk") <file>; or go back to a backup: docs/data.md" ;;
    esac
  fi
  # The bits of features that a program that does not know them takes back.
  case $(od -An -v -tx1 -j 88 -N 8 "$disk" | tr -d ' ')$info in
    0000000000000000*warning:*bitmaps*) ;;
    0000000000000000*) return ;;
  esac
  qemu-img amend -q -f qcow2 -o compat=1.1 "$disk"
}

# A restore whose snapshot is gone is not done again: this one is, from here on.
take_over() {
  require_snapshot
  mv "$disk.restoring.$standing" "$mark"
  sync "$folder"
  show_mark
}

# What the disk holds now is what the restore before left of it, unless a VM has written to it since. That may be off again, so whether
# one has is not known: it is kept in any case.
resume() {
  [ "$standing" = "$snapshot" ] || take_over
  read -r before <"$mark"
  hold_autostart
  settle_header
  status=0
  said=$(qemu-img check -q -r all -f qcow2 "$disk" 2>&1) || status=$?
  # 3: nothing is wrong, but some space is lost.
  case $status in
    0 | 3) ;;
    2) fail "$disk" "must be whole, but the restore that was cut off has left it in a way that qemu-img check cannot mend" "go back to a backup: docs/data.md" ;;
    *) printf '%s\n' "$said" | tail -n 5 >&2 && exit "$status" ;;
  esac
  if ! has_snapshot "$disk" "$before"; then
    qemu-img snapshot -c "$before" "$disk"
    has_snapshot "$disk" "$snapshot" ||
      echo "$project: what the disk holds, which may be half of two states, is kept as the snapshot $before" >&2
  else
    qemu-img snapshot -c "$now" "$disk"
    echo "$project: what the disk held when the restore was done again is the snapshot $now: of use only if a VM was started since it was cut off" >&2
  fi
  # There is nothing to be done again where the snapshot is gone; what is there to go back to is named.
  refuse_others >/dev/null
  # To the state before itself: what that takes the place of is the one that was just made.
  [ "$before" != "$snapshot" ] || before=$now
}

# Prints the snapshot of the mark that stands, if this one may be done in spite of that.
refuse_others() {
  no_restore=$(cat "${0%/*}/no-restore.sh")
  sh -c "$no_restore" "${0%/*}/no-restore.sh" "$disk" "$snapshot"
}

disk=$1 snapshot=$2 now=$3 size=$4 uri=$5
folder=$(dirname "$disk")
project=$(basename "$folder")
mark=$disk.restoring.$snapshot
# One whose caller was cut off goes on to its end here: whoever comes later waits for it, so that the last one counts.
exec 9<"$folder"
flock -w "$LOCK" 9 ||
  fail "$folder" "must be released within $LOCK s by the program that works on the disk" "wait until that has ended; which one it is: fuser -v $(shell_word "$folder")"
standing=$(refuse_others)
by_itself=$(cat "${0%/*}/by-itself.sh")
sh -c "$by_itself" "${0%/*}/by-itself.sh" "$disk"
resumed=no
if [ -n "$standing" ]; then resumed=yes && resume; else begin; fi
qemu-img snapshot -a "$snapshot" "$disk"
# Without --shrink it refuses to make a disk smaller.
qemu-img resize -q -f qcow2 "$disk" "$size"
# A snapshot that is made in an image which was just mended can lose a cluster: seen with QEMU 7.2.
[ "$resumed" = no ] || qemu-img check -q -r leaks -f qcow2 "$disk" >/dev/null 2>&1 || true
unmark
echo "$before"
[ -z "${6:-}" ] || start "$6"
