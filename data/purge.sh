#!/bin/sh
# Removes a project's kept disk with its pool and its folder and, if asked to, its backups: for good. Nothing is removed
# that somebody uses, or that is none of ours. Can be done again from wherever it was cut off.
#
# Usage: purge.sh <project> <storageDir> <libvirt URI> <yes|no, with the backups>
# What is left of the folders, if they held something else, goes to standard error.
set -eu
export LC_ALL=C

STAMP='[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z'

ANSWER=60 # seconds for libvirt to answer

# What is wrong, which rule it breaks, what to do.
fail() {
  printf 'error: %s: %s\nremedy: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

virsh_do() { timeout -k 5 "$ANSWER" virsh -q -c "$uri" "$@"; }

# Opens a folder as file descriptor 9, for a lock that goes with this process.
lock() {
  exec 9<"$1"
  flock -n 9 || fail "$1" "must not be worked on meanwhile" "wait until the backup, import or snapshot has ended"
}

refuse_used() {
  domains=$(virsh_do list --all --name) ||
    fail "$uri" "must tell within $ANSWER s which VMs there are" "look at libvirt there; then run this again"
  if printf '%s\n' "$domains" | grep -qxF "project-$project"; then
    fail "project-$project" "must not be there: the disk is its own" "remove that VM first"
  fi
  [ -e "$disk" ] || return 0
  # QEMU and qemu-img hold a lock on what they use.
  said=$(qemu-img info "$disk" 2>&1) || case $said in
    *' lock'*) fail "$disk" "must not be used by another program" "shut that down: fuser -v '$disk'" ;;
  esac
}

remove_folder() {
  rmdir "$1" 2>/dev/null || echo "$project: left in $1: $(ls -A "$1")" >&2
}

remove_pool() {
  virsh_do pool-info "$pool" >/dev/null 2>&1 || return 0
  virsh_do pool-destroy "$pool" >/dev/null 2>&1 || true # it may be inactive
  virsh_do pool-undefine "$pool" >/dev/null
}

# The disk first: what is left of a removal that was cut off is still found by its pool.
remove_disk() {
  if [ -d "$folder" ]; then
    lock "$folder"
    refuse_used
    for name in project.qcow2 project.qcow2.partial project.qcow2.received disk.qcow2 seed.iso; do
      rm -f "$folder/$name"
    done
    # Of a VM from before such logs had a folder of their own.
    remove_console_log "$folder"
    remove_pool
    remove_folder "$folder"
  else
    remove_pool
  fi
  [ -d "$console" ] || return 0
  remove_console_log "$console"
  remove_folder "$console"
}

# With its older parts, as virtlogd rotates it.
remove_console_log() { rm -f "$1"/console.log "$1"/console.log.[0-9] "$1"/console.log.[0-9][0-9]; }

remove_backups() {
  [ -d "$backups" ] || return 0
  lock "$backups"
  # shellcheck disable=SC2086 # a pattern
  rm -f "$backups/$project"-$STAMP.*
  remove_folder "$backups"
  # Other projects' may be there.
  rmdir "$(dirname "$backups")" 2>/dev/null || true
}

project=$1 uri=$3
pool=project-$project
folder=$2/$project
disk=$folder/project.qcow2
backups=$2/backups/$project
console=$2/$project.console
remove_disk
[ "$4" != yes ] || remove_backups
