#!/bin/sh
# Refuses a project disk that a program uses, or may: one that libvirt knows nothing of. Right before the disk is deleted, with its own
# VM off, whose QEMU is such a program.
#
# Usage: no-program.sh <file> <seconds for qemu-img to answer>
set -eu
export LC_ALL=C.UTF-8 LANGUAGE=

LOCKS=/proc/locks

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"

# For whoever may not open an image, such as a member of the host's group `libvirt`: the kernel's list shows all users whether a file has a lock.
# Not what other machines have locked on a server. By the inode's number alone: on btrfs, stat has another device than the list.
is_listed_free() {
  case $(stat -L -f -c %T -- "$1") in btrfs | ext2/ext3 | f2fs | tmpfs | xfs | zfs) ;; *) return 1 ;; esac
  inode=$(stat -L -c %i -- "$1") || return
  awk -v inode=":$inode " 'index($0, inode) { exit 1 }' "$LOCKS" 2>/dev/null
}

disk=$1 answer=$2
said=$(stat -L -- "$disk" 2>&1 >/dev/null) || case $said in
  *'No such file or directory' | *'Not a directory') exit 0 ;;
  *) fail "$disk" "must let itself be seen, or it cannot be known whether it is used" "run this as root; why: stat $(shell_word "$disk")" ;;
esac
# QEMU and qemu-img hold a lock on what they use.
said=$(timeout -k 5 "$answer" qemu-img info "$disk" 2>&1) || case $?:$said in
  124:* | 137:*) fail "$disk" "must let be seen within $answer s whether a program uses it" "see what its header names, which qemu-img waits for" ;;
  *' lock'*) fail "$disk" "must not be used by another program" "shut that down: fuser -v $(shell_word "$disk")" ;;
  12[67]:* | *'Could not open'*'ermission denied'*)
    if [ ! -r "$disk" ] && is_listed_free "$disk"; then exit 0; fi
    fail "$disk" "must be readable, or it cannot be known whether it is used" "run this as root, with qemu-img on the PATH" ;;
  1:*'Could not open'*) ;; # an image that is none any more is nobody's, but still can be looked at
  *) fail "$disk" "must let be seen whether a program uses it" "see what this says there: qemu-img info $(shell_word "$disk")" ;;
esac
