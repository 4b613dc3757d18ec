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

# Pools of these types hold files, which may have backing files.
FILES=dir,fs,netfs

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"

virsh_do() { timeout -k 5 "$ANSWER" virsh -q -c "$uri" "$@"; }

# Opens a folder as file descriptor 9, for a lock that goes with this process.
lock() {
  exec 9<"$1"
  flock -n 9 || fail "$1" "must not be worked on meanwhile" "wait until the backup, import or snapshot has ended"
}

# Whoever does not answer may know of a user: nothing is removed then.
ask() {
  virsh_do "$@" ||
    fail "$uri" "must answer \`virsh $1\` within $ANSWER s" "look at libvirt there; then run this again"
}

# Right before the files go, whatever was seen when this was asked for.
refuse_used() {
  domains=$(ask list --all --name) || exit
  if printf '%s\n' "$domains" | grep -qxF "project-$project"; then
    fail "project-$project" "must not be there: the disk is its own" "remove that VM first"
  fi
  refuse_domains
  refuse_clones
  no_program=$(cat "${0%/*}/no-program.sh")
  sh -c "$no_program" "${0%/*}/no-program.sh" "$disk" "$ANSWER"
}

# By the definition that a domain runs by, and by the one that it starts by; with the files beneath its disks.
refuse_domains() {
  raws=''
  uuids=$(ask list --all --uuid) || exit
  for uuid in $uuids; do
    for which in '' --inactive; do
      # shellcheck disable=SC2086 # one option or none
      xml=$(virsh_do dumpxml "$uuid" $which) || xml=$(gone_since "$uuid") || exit
      files=$(printf '%s\n' "$xml" | files_in && printf '%s\n' "$xml" | disks_as qcow2 | files_beneath) || exit
      raw=$(printf '%s\n' "$xml" | disks_as raw) || exit
      raws=$(printf '%s\n' "$raws" "$raw")
      user=$(printf '%s\n' "$files" | first_of_ours)
      [ -z "$user" ] ||
        fail "$(printf '%s\n' "$xml" | sed -n 's/^ *<name>\(.*\)<\/name>.*/\1/p' | head -n 1)" \
          "must not use disks in $folder, but has $user" "take those disks from that domain"
    done
  done
}

# A domain that was removed meanwhile uses nothing; one that is still there must let itself be seen.
gone_since() {
  left=$(ask list --all --uuid) || exit
  ! printf '%s\n' "$left" | grep -qxF "$1" ||
    fail "the domain $1" "must let its definition be read" "look at libvirt there: virsh -c $(shell_word "$uri") dumpxml $1"
}

# Volumes that no domain has may stand on the disk as well. Pools of other projects, if they are stopped, hold what this program put
# there. A teardown looks at the same (vm/disk-users.ts).
refuse_clones() {
  pools=$(pools_of_files --all) && active=$(pools_of_files) || exit
  printf '%s\n' "$pools" | while IFS= read -r one; do
    [ -n "$one" ] || continue # there is none
    if printf '%s\n' "$active" | grep -qxF "$one"; then
      refuse_volumes "$one"
    elif [ "${one#project-}" = "$one" ] && ! is_console "$one"; then
      fail "the pool $one" "must be active, or it cannot be known what its volumes stand on" "start it: virsh -c $(shell_word "$uri") pool-start $(shell_word "$one")"
    fi
  done
}

# Whether a stopped pool is one that an update was killed over, for a console's folder: it holds what a guest has printed.
is_console() {
  case $1 in *.console) ;; *) return 1 ;; esac
  virsh_do pool-dumpxml "$1" </dev/null | sed -n 's| *<path>\(.*\)</path>|\1|p' | plain | grep -qxF "$storage/$1"
}

# virsh pads the names of pools with blanks.
pools_of_files() {
  named=$(ask pool-list "$@" --name --type "$FILES") || exit
  printf '%s\n' "$named" | sed 's| *$||; /^$/d'
}

# libvirt knows nothing of files that came without it before it has read the pool again.
refuse_volumes() {
  if ! { virsh_do pool-refresh "$1" >/dev/null && rows=$(virsh_do vol-list "$1"); } </dev/null; then
    # One that was removed meanwhile has none. One that libvirt cannot read is stopped by that, and still there.
    left=$(pools_of_files --all) || exit
    ! printf '%s\n' "$left" | grep -qxF "$1" ||
      fail "the pool $1" "must be readable, or it cannot be known what its volumes stand on" \
        "mend what libvirt says above, then start it, for libvirt may have stopped it: virsh -c $(shell_word "$uri") pool-start $(shell_word "$1")"
    return 0
  fi
  # Behind the name of each comes its path.
  printf '%s\n' "$rows" | sed -n 's|^[^/]* \(/.*[^ ]\) *$|\1|p' | while IFS= read -r file; do
    # These stand on a base image, or on nothing.
    case $1/${file##*/} in project-*/disk.qcow2 | project-*/seed.iso) continue ;; esac
    ! is_raw "$file" || continue
    xml=$(virsh_do vol-dumpxml "$file" </dev/null) || xml=$(gone_from "$1" "$file") || exit
    below=$(printf '%s\n' "$xml" | sed -n '/<backingStore>/,/<\/backingStore>/p')
    next=$(printf '%s\n' "$below" | sed -n 's/.*<path>\(.*\)<\/path>.*/\1/p' | plain)
    further=''
    case $below in
      *"<format type='qcow2'"*) further=$(printf '%s\n' "$next" | files_beneath) || exit ;;
      *"<format type="* | '') ;;
      *) require_told "$next" ;;
    esac
    base=$(printf '%s\n' "$next" "$further" | first_of_ours)
    [ -z "$base" ] || fail "$file" "must not stand on $base" "$(gone_or_copied "$file")"
  done
}

# Whether a domain has that file as a raw disk: libvirt takes for a backing file what its guest wrote at the beginning.
is_raw() {
  while IFS= read -r raw; do
    # shellcheck disable=SC3013 # dash, bash and busybox have it
    [ ! "$raw" -ef "$1" ] || return 0
  done <<END
$raws
END
  return 1
}

# To have it stand alone is to give its owner what is on ours: whoever may not read that can lay an image on it.
gone_or_copied() {
  owner=$(stat -L -c %u -- "$1" 2>/dev/null) || owner='<owner>'
  echo "remove it, or have its owner copy it elsewhere first: sudo -u '#$owner' qemu-img convert -O qcow2 $(shell_word "$1") <file>"
}

# A volume that was removed meanwhile stands on nothing.
gone_from() {
  left=$(ask vol-list "$1" </dev/null) || exit
  case $left in
    *" $2 "* | *" $2")
      fail "$2" "must let libvirt read what it stands on" "look at libvirt there: virsh -c $(shell_word "$uri") vol-dumpxml $(shell_word "$2")" ;;
  esac
}

# A text of XML's.
plain() { sed "s/&lt;/</g; s/&gt;/>/g; s/&quot;/\"/g; s/&apos;/'/g; s/&amp;/\&/g"; }

# The files that a domain's definition names, one a line. A volume is named by its pool.
files_in() {
  grep -o '<source [^>]*>' | sed -n "
    s#.* pool='\([^']*\)' volume='\([^']*\)'.*#\1/\2#p; t
    s#.* \(file\|dev\|dir\)='\(/[^']*\)'.*#\2#p" | plain | while IFS= read -r file; do
    case $file in
      /*) printf '%s\n' "$file" ;;
      "$pool"/*) printf '%s\n' "$folder/${file#*/}" ;;
      *) virsh_do vol-path --pool "${file%%/*}" "${file#*/}" </dev/null ||
        fail "the volume ${file#*/} of the pool ${file%%/*}" "must let be seen where it is: a domain has it" \
          "start that pool, if it is stopped: virsh -c $(shell_word "$uri") pool-start $(shell_word "${file%%/*}"); or take the volume from its domain" ;;
    esac
  done
}

# The disks that a domain has as that. Of one that is off, its definition names no file beneath a disk. Only disks that are said to be
# qcow2 are looked into: what a guest wrote at the beginning of a raw one is its own word.
disks_as() {
  awk -v driver="<driver .*type=.$1[^a-z0-9]" '
    /<disk / { is = 0; source = "" }
    $0 ~ driver { is = 1 }
    source == "" && /<source / { source = $0 }
    /<\/disk>/ && is { print source; is = 0 }' | files_in
}

# What an image on a disk that is not mounted just now stands on is not known.
require_there() {
  [ -e "$1" ] || fail "$1" "must be there, or it cannot be known whether it stands on a disk in $folder" \
    "mount the disk that it is on; if it is gone for good, remove the domain or volume that names it"
}

# What stands on it does not say its format: a qcow2 image may well stand on something, or be one that a guest wrote.
require_told() {
  require_there "$1"
  start=$(timeout -k 5 "$ANSWER" od -An -tx1 -N4 -- "$1") || start='51 46 49 fb'
  case $start in *'51 46 49 fb'*) ;; *) return 0 ;; esac
  fail "$1" "must be said to be qcow2 by what stands on it, or it cannot be known whether it stands on a disk in $folder" \
    "remove the domain or volume that names it, or have its owner move it elsewhere"
}

# A chain has 200 files at most, as libvirt has it.
files_beneath() {
  while IFS= read -r file; do
    for _ in $(seq 200); do
      require_there "$file"
      said=$(timeout -k 5 "$ANSWER" qemu-img info -U -f qcow2 "$file" 2>&1) ||
        fail "$file" "must let be seen what it stands on" "look at that disk of another VM: qemu-img info $(shell_word "$file")"
      file=$(printf '%s\n' "$said" | sed -n 's/^backing file: .* (actual path: \(.*\))$/\1/p; t; s/^backing file: //p' | head -n 1)
      [ -n "$file" ] || break
      printf '%s\n' "$file"
      case $(printf '%s\n' "$said" | sed -n 's/^backing file format: //p' | head -n 1) in
        qcow2) ;;
        '') require_told "$file" && break ;;
        *) break ;;
      esac
    done
  done
}

# One that is missing is none of ours; of one that cannot be looked at that is not known.
require_seen() {
  said=$(stat -L -- "$1" 2>&1 >/dev/null) || case $said in
    *'No such file or directory' | *'Not a directory') ;;
    *) fail "$1" "must let be seen which file it is ($said)" "look at it there; or remove the domain or volume that names it" ;;
  esac
}

# The first file that is one of those that would go, by whatever path.
first_of_ours() {
  while IFS= read -r file; do
    [ -z "$file" ] || require_seen "$file"
    for name in $VOLUMES; do
      # shellcheck disable=SC3013 # dash, bash and busybox have it
      [ ! "$file" -ef "$folder/$name" ] || { echo "$file" && return; }
    done
  done
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

project=$1 uri=$3
pool=project-$project
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
