#!/bin/sh
# Removes a project's kept disk with its pool and its folder and, if asked to, its backups: for good. Nothing is removed
# that a domain or program uses, that is none of ours, or of which libvirt does not tell whether it is used. Can be done again from wherever it was cut off.
#
# Usage: purge.sh <project> <storageDir> <libvirt URI> <yes|no, with the backups>
# What is left of the folders, if they held something else, goes to standard error.
set -eu
export LC_ALL=C.UTF-8 LANGUAGE=

STAMP='[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z'

ANSWER=60 # seconds for libvirt to answer

# What libvirt may have as a disk; what else of ours is there was left by an import that was cut off.
VOLUMES='project.qcow2 disk.qcow2 seed.iso'

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"
stands_on=$(cat "${0%/*}/stands-on.sh")
eval "$stands_on"

# Opens a folder as file descriptor 9, for a lock that goes with this process.
lock() {
  exec 9<"$1"
  flock -n 9 || fail "$1" "must not be worked on meanwhile" "wait until the backup, import or snapshot has ended"
}

# Right before the files go, whatever was seen when this was asked for.
refuse_used() {
  domains=$(ask list --all --name) || exit
  if printf '%s\n' "$domains" | grep -qxF "project-$project"; then
    fail "project-$project" "must not be there: the disk is its own" "remove that VM first"
  fi
  look_at_domains
  look_at_pools
  no_program=$(cat "${0%/*}/no-program.sh")
  sh -c "$no_program" "${0%/*}/no-program.sh" "$disk" "$ANSWER"
}

# Whoever does not answer may know of a user: nothing is removed then.
not_known() { fail "$@"; }

# With the files beneath its disks.
look_at_domain() {
  files=$(printf '%s\n' "$1" | files_in && printf '%s\n' "$1" | disks_as qcow2 | files_beneath) || exit
  user=$(printf '%s\n' "$files" | first_of_ours)
  [ -z "$user" ] ||
    fail "$(printf '%s\n' "$1" | sed -n 's/^ *<name>\(.*\)<\/name>.*/\1/p' | head -n 1)" \
      "must not use disks in $folder, but has $user" "take those disks from that domain"
}

# Of whatever format it is.
may_stand() { true; }

refuse_volume() { fail "$1" "must not stand on $2" "$(gone_or_copied "$1")"; }

# To have it stand alone is to give its owner what is on ours: whoever may not read that can lay an image on it.
gone_or_copied() {
  owner=$(stat -L -c %u -- "$1" 2>/dev/null) || owner='<owner>'
  echo "remove it, or have its owner copy it elsewhere first: sudo -u '#$owner' qemu-img convert -O qcow2 $(shell_word "$1") <file>"
}

remove_folder() {
  rmdir "$1" 2>/dev/null || echo "$project: left in $1: $(ls -A "$1")" >&2
}

remove_pool() {
  pools=$(ask pool-list --all --name) || exit
  # virsh pads the names of pools with blanks.
  printf '%s\n' "$pools" | sed 's| *$||' | grep -qxF "$pool" || return 0
  virsh_do pool-destroy "$pool" >/dev/null 2>&1 || true # it may be inactive
  virsh_do pool-undefine "$pool" >/dev/null
}

# The disk first: what is left of a removal that was cut off is still found by its pool.
remove_disk() {
  if [ -d "$folder" ]; then
    lock "$folder"
    refuse_used
    for name in $VOLUMES project.qcow2.partial project.qcow2.received; do
      rm -f "$folder/$name"
    done
    rm -f "$disk".restoring.* "$disk.restoring-new"
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

# shellcheck disable=SC2034 # stands-on.sh has it
project=$1 uri=$3
pool=project-$project
# shellcheck disable=SC2034 # stands-on.sh has it
storage=$2
folder=$2/$project
disk=$folder/project.qcow2
backups=$2/backups/$project
console=$2/$project.console
# What is on a disk that is not mounted would stay, and nothing would lead to it.
mounted=$(cat "${0%/*}/mounted.sh")
sh -c "$mounted" "${0%/*}/mounted.sh" --beside "$disk" "$folder" "$console"
[ "$4" != yes ] || sh -c "$mounted" "${0%/*}/mounted.sh" --beside "$disk" "$backups"
remove_disk
[ "$4" != yes ] || remove_backups
