#!/bin/sh
# shellcheck disable=SC2154 # who evaluates this has set them
#
# The look at what uses a project's disks or stands on them: the definitions of all domains, and the volumes of all pools of files,
# behind all links. src/libvirt/disk-users.ts looks at the same. Scripts of this folder evaluate this text, with refusal.sh, and set
#   uri, ANSWER      libvirt, and the seconds for it to answer
#   storage, folder  the storageDir, and the project's folder in it, whose pool is `pool`
#   VOLUMES          names of those files in the folder that count
#   look_at_domain   <definition of a domain>: whether that uses them
#   may_stand        whether a volume may stand on anything
#   refuse_volume    <volume> <ours>: that it stands on it
#   not_known        <what> <rule> <remedy>: what does not let itself be seen; it may go on, past that
# It asks virsh twice for each domain and pool, and once for each volume that may stand on something.

virsh_do() { timeout -k 5 "$ANSWER" virsh -q -c "$uri" "$@"; }

# Pools of these types hold files, which may have backing files.
FILES=dir,fs,netfs

# Whoever does not answer may know of a user.
ask() {
  virsh_do "$@" ||
    fail "$uri" "must answer \`virsh $1\` within $ANSWER s" "look at libvirt there; then run this again"
}

# By the definition that a domain runs by, and by the one that it starts by. What any has as raw is noted.
look_at_domains() {
  raws=''
  uuids=$(ask list --all --uuid) || exit
  for uuid in $uuids; do
    for which in '' --inactive; do
      # shellcheck disable=SC2086 # one option or none
      xml=$(virsh_do dumpxml "$uuid" $which) || xml=$(gone_since "$uuid") || exit
      raw=$(printf '%s\n' "$xml" | disks_as raw) || exit
      raws=$(printf '%s\n' "$raws" "$raw")
      look_at_domain "$xml"
    done
  done
}

# A domain that was removed meanwhile uses nothing; one that is still there must let itself be seen.
gone_since() {
  left=$(ask list --all --uuid) || exit
  ! printf '%s\n' "$left" | grep -qxF "$1" ||
    not_known "the domain $1" "must let its definition be read" "look at libvirt there: virsh -c $(shell_word "$uri") dumpxml $1"
}

# Volumes that no domain has may stand on them as well. Pools of other projects, if they are stopped, hold what this program put
# there.
look_at_pools() {
  pools=$(pools_of_files --all) && active=$(pools_of_files) || exit
  printf '%s\n' "$pools" | while IFS= read -r one; do
    [ -n "$one" ] || continue # there is none
    if printf '%s\n' "$active" | grep -qxF "$one"; then
      look_at_volumes "$one"
    elif [ "${one#project-}" = "$one" ] && ! is_console "$one"; then
      not_known "the pool $one" "must be active, or it cannot be known what its volumes stand on" "start it: virsh -c $(shell_word "$uri") pool-start $(shell_word "$one")"
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
look_at_volumes() {
  if ! { virsh_do pool-refresh "$1" >/dev/null && rows=$(virsh_do vol-list "$1"); } </dev/null; then
    # One that was removed meanwhile has none. One that libvirt cannot read is stopped by that, and still there.
    left=$(pools_of_files --all) || exit
    printf '%s\n' "$left" | grep -qxF "$1" || return 0
    start_again "$1"
    not_known "the pool $1" "must be readable, or it cannot be known what its volumes stand on" \
      "mend what libvirt says above, then start it, for libvirt may have stopped it: virsh -c $(shell_word "$uri") pool-start $(shell_word "$1")"
    return 0
  fi
  # Behind the name of each comes its path.
  printf '%s\n' "$rows" | sed -n 's|^[^/]* \(/.*[^ ]\) *$|\1|p' | while IFS= read -r file; do
    # These stand on a base image, or on nothing.
    case $1/${file##*/} in project-*/disk.qcow2 | project-*/seed.iso) continue ;; esac
    if is_raw_disk "$file" || ! may_stand "$file"; then continue; fi
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
    [ -z "$base" ] || refuse_volume "$file" "$base"
  done
}

# A pool is left as it was found. It was active, and what libvirt could not read may be readable by now. src/libvirt/pool-look.ts says the
# same.
start_again() {
  left=$(pools_of_files) || exit
  ! printf '%s\n' "$left" | grep -qxF "$1" || return 0
  if virsh_do pool-start "$1" </dev/null >/dev/null; then
    became="had stopped it; it was started again"
  else
    became="has stopped it; once it can be read, start it: virsh -c $(shell_word "$uri") pool-start $(shell_word "$1")"
  fi
  printf '%s\n' "the pool $(one_line "$1"): libvirt could not read it and $(one_line "$became")" >&2
}

# Whether a domain has that file as a raw disk: libvirt takes for a backing file what its guest wrote at the beginning.
is_raw_disk() {
  while IFS= read -r raw; do
    # shellcheck disable=SC3013 # dash, bash and busybox have it
    [ ! "$raw" -ef "$1" ] || return 0
  done <<END
$raws
END
  return 1
}

# A volume that was removed meanwhile stands on nothing.
gone_from() {
  left=$(ask vol-list "$1" </dev/null) || exit
  case $left in
    *" $2 "* | *" $2")
      not_known "$2" "must let libvirt read what it stands on" "look at libvirt there: virsh -c $(shell_word "$uri") vol-dumpxml $(shell_word "$2")" ;;
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
        not_known "the volume ${file#*/} of the pool ${file%%/*}" "must let be seen where it is: a domain has it" \
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
  [ -e "$1" ] || not_known "$1" "must be there, or it cannot be known whether it stands on a disk in $folder" \
    "mount the disk that it is on; if it is gone for good, remove the domain or volume that names it"
}

# What stands on it does not say its format: a qcow2 image may well stand on something, or be one that a guest wrote.
require_told() {
  require_there "$1"
  start=$(timeout -k 5 "$ANSWER" od -An -tx1 -N4 -- "$1") || start='51 46 49 fb'
  case $start in *'51 46 49 fb'*) ;; *) return 0 ;; esac
  not_known "$1" "must be said to be qcow2 by what stands on it, or it cannot be known whether it stands on a disk in $folder" \
    "remove the domain or volume that names it, or have its owner move it elsewhere"
}

# A chain has 200 files at most, as libvirt has it.
files_beneath() {
  while IFS= read -r file; do
    for _ in $(seq 200); do
      require_there "$file"
      said=$(timeout -k 5 "$ANSWER" qemu-img info -U -f qcow2 "$file" 2>&1) || {
        not_known "$file" "must let be seen what it stands on" "look at that disk of another VM: qemu-img info $(shell_word "$file")"
        break
      }
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
    *) not_known "$1" "must let be seen which file it is ($said)" "look at it there; or remove the domain or volume that names it" ;;
  esac
}

# The first file that is one of ours, by whatever path.
first_of_ours() {
  while IFS= read -r file; do
    [ -z "$file" ] || require_seen "$file"
    for name in $VOLUMES; do
      # shellcheck disable=SC3013 # dash, bash and busybox have it
      [ ! "$file" -ef "$folder/$name" ] || { echo "$file" && return; }
    done
  done
}
