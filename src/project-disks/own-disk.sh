#!/bin/sh
# Refuses a VM that has another file in its project disk's place. What was written since an external snapshot is in an overlay, and
# no copy of the disk has it: whether the VM is on or off, now or from its next start on, or undefined by others.
#
# Usage: own-disk.sh <disk> <domain> <libvirt URI> <seconds for libvirt to answer>
# Prints what the disk is called in the VM as it is now (vdb), if that has it.
set -eu
export LC_ALL=C.UTF-8 LANGUAGE=

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"
stands_on=$(cat "${0%/*}/stands-on.sh")
eval "$stands_on"

# Of the disks that a definition has, ours or the one in its place: as the same device or, where the domain has ours no more, as another one,
# for people change the bus of a disk, and a transform may name it otherwise. Prints "ours <device>", or "other <device> <file>".
# Usage: ours_or_other <--inactive, where it is what the domain starts by>
ours_or_other() {
  place='' other='' ours=''
  while read -r device target file; do
    [ "$device" = disk ] || continue
    if is_file "$disk" "$file" "$1"; then
      ours=$target
    elif [ "$target" = vdb ]; then
      place=$file
    elif [ -n "$1" ] && ! is_beside "$target" "$file" "$1" && ! is_raw "$target" "$1" && is_qcow2 "$file"; then
      other="$target $file"
    fi
  done
  if [ -n "$ours" ] && { [ -z "$place" ] || is_raw vdb "$1" || ! stands_on_ours "$place"; }; then
    echo "ours $ours"
  elif [ -n "$place$other" ]; then
    printf 'other %s\n' "${place:+vdb }${place:-$other}"
  fi
}

# Whether a disk is the root disk or the seed, or in the root disk's place, where what is no root disk stands on that.
is_beside() {
  [ "$1" = vda ] || is_file "${disk%/*}/disk.qcow2" "$2" "$3" || is_file "${disk%/*}/seed.iso" "$2" "$3"
}

# Whether the domain has a disk as raw: it stands on nothing, and what it begins with is its guest's own word.
# Usage: is_raw <device> <--inactive, or nothing>
is_raw() {
  # shellcheck disable=SC2086 # no word, where it is empty
  virsh_do dumpxml "$domain" $2 </dev/null | awk -v target="dev='$1'" '
    /<disk / { raw = 0 }
    /<driver .*type=.raw./ { raw = 1 }
    /<target / && raw && index($0, target) { found = 1 }
    /<\/disk>/ { raw = 0 }
    END { exit !found }'
}

# Nothing else is an overlay. What is not there, or on the network, may be one.
is_qcow2() {
  [ -e "$1" ] || return 0
  magic=$(od -An -v -tx1 -N 4 "$1" 2>&1) ||
    fail "$1" "must be readable, or it cannot be known whether it is an overlay of the disk" "run this as root; od says: $magic"
  [ "$magic" = ' 51 46 49 fb' ]
}

# Whether ours is among the files that another one stands on, of which there are 200 at most, as libvirt has it. On the network, as a volume
# of another pool, or gone, it is taken not to, as src/libvirt/manual-changes.ts has it: QEMU starts no guest that has ours twice.
stands_on_ours() {
  case $1 in /*) ;; *) set -- "${disk%/*}/$1" ;; esac # as a volume of our pool
  if ! found=$(ls -dL "$1" 2>&1); then
    case $found in *'No such file'* | *'Not a directory'*) return 1 ;; esac
  fi
  below=$1 left=200
  while [ -n "$below" ] && is_qcow2 "$below"; do
    below=$(file_below "$below") || exit
    left=$((left - 1))
    # shellcheck disable=SC3013 # dash, bash and busybox have it
    if [ "$below" -ef "$disk" ] || [ "$left" -eq 0 ]; then return 0; fi
  done
  return 1
}

# The file that an image stands on; nothing where it stands alone.
file_below() {
  said=$(timeout -k 5 "$ANSWER" qemu-img info -U -f qcow2 "$1" 2>&1) ||
    fail "$1" "must be readable to qemu-img, or it cannot be known whether it is an overlay of the disk" \
      "look at it, and move it away if it is nothing of use: qemu-img info $(shell_word "$1")"
  printf '%s\n' "$said" | sed -n 's/^backing file: .* (actual path: \(.*\))$/\1/p; t; s/^backing file: //p' | head -n 1
}

# Whether an image's data is in a file of its own, by the bit that by-itself.sh looks at: that file would be written into ours.
has_data_file() {
  case $(od -An -v -tx1 -j 4 -N 76 "$1" | tr -d ' \n') in
    00000002*) return 1 ;;
    *[4-7c-f]) ;;
    *) return 1 ;;
  esac
}

# domblklist's lines without the type, whose columns are as wide as they need be.
cut_type() { sed 's/^ *[^ ]* *//'; }

# Whether a disk is that file of our folder; it may be named as a volume of its pool, which has the domain's name.
# Usage: is_file <file> <the disk's> <--inactive, or nothing>
is_file() {
  # shellcheck disable=SC3013
  if [ "$1" = "$2" ] || [ "$1" -ef "$2" ]; then return 0; fi
  # shellcheck disable=SC2086 # no word, where it is empty
  [ "$2" = "${1##*/}" ] && virsh_do dumpxml "$domain" $3 | grep -q "<source pool='$domain' volume='$2'"
}

# Without its domain, nothing else tells of an external snapshot. Its overlay may be in any folder: those of pools are looked through, and
# what other domains have. Only what is a qcow2 image can be one.
refuse_overlays() {
  set --
  for file in "${disk%/*}"/*; do
    # shellcheck disable=SC3013
    if [ ! -f "$file" ] || [ "$file" -ef "$disk" ] || ! is_qcow2 "$file"; then continue; fi
    base=$(file_below "$file")
    # shellcheck disable=SC3013
    if [ -n "$base" ] && [ ! -e "$base" ] && [ "${base%/*}" -ef "${disk%/*}" ]; then stray=$file gone=$base; fi
    if reaches_ours "$file" && ! is_beneath "$file"; then set -- "$@" "$file"; fi
  done
  case $# in
    0) [ -z "${stray-}" ] || refuse_stray "$stray" "$gone" ;;
    1) refuse_overlay "$1" ;;
    *) refuse_side_by_side "$@" ;;
  esac
  # shellcheck disable=SC2034 # stands-on.sh has them
  folder=${disk%/*} storage=${disk%/*/*} pool=$domain VOLUMES=${disk##*/} seen=''
  look_at_domains
  look_at_pools
}

# Whether ours is among the files that another one stands on, as far as those are there.
reaches_ours() {
  below=$1 left=200
  while [ -e "$below" ] && is_qcow2 "$below" && [ "$left" -gt 0 ]; do
    below=$(file_below "$below") || exit
    left=$((left - 1))
    # shellcheck disable=SC3013
    [ ! "$below" -ef "$disk" ] || return 0
  done
  return 1
}

# Whether another image of our folder stands on one: what was written last is in that.
is_beneath() {
  for one in "${disk%/*}"/*; do
    # shellcheck disable=SC3013
    if [ ! -f "$one" ] || [ "$one" -ef "$1" ] || [ "$one" -ef "$disk" ] || ! is_qcow2 "$one"; then continue; fi
    next=$(file_below "$one") || exit
    # shellcheck disable=SC3013
    [ ! "$next" -ef "$1" ] || return 0
  done
  return 1
}

# Only one can be written back: what the others were laid on is another then.
refuse_side_by_side() {
  names=$1
  shift
  for one in "$@"; do names="$names and $one"; done
  fail "$disk" \
    "must have no overlay, but $names stand on it side by side: what was written since those snapshots is there alone" \
    "only one of them can be written back into ours, which spoils the others: copy those first: qemu-img convert -O qcow2 <overlay> <copy>; then write that one back, if it is no disk that its guest had as raw: qemu-img commit -b $(shell_word "$disk") <overlay>; then move all of them away"
}

# What that stood on is not known.
refuse_stray() {
  fail "$1" \
    "must stand on what is there, but $2 is not: if that stood on our disk, as a snapshot leaves it, both have what was written since" \
    "put $2 back where it was; if $1 is nothing of this project's disk, move it away"
}

refuse_overlay() {
  ! has_data_file "$1" || fail "$disk" \
    "must have no overlay, but $1 stands on it, and has its data in a file of its own, which no snapshot's overlay has" \
    "move that file away: a guest that had it as a raw disk may have written so"
  fail "$disk" \
    "must have no overlay, but $1 stands on it: what was written since that snapshot is there alone" \
    "if it is a snapshot's overlay, not a disk that its guest had as raw, write it back into ours: qemu-img commit -b $(shell_word "$disk") $(shell_word "$1"); if a blockcommit has done so, move it away"
}

# By way of others: which of them has what, only their owner knows.
refuse_volume() {
  # shellcheck disable=SC3013
  [ ! "$(file_below "$1")" -ef "$disk" ] || refuse_overlay "$1"
  fail "$disk" "must have no overlay, but $1 stands on it by way of others: what was written since that snapshot is there alone" \
    "look at them, and move them away or write them back into ours, the last one first: qemu-img info --backing-chain $(shell_word "$1")"
}

# A stopped pool of ISO images keeps nobody from a backup.
not_known() { :; }

# The disks of our VMs stand on base images, or on nothing.
look_at_domain() {
  printf '%s\n' "$1" | disks_as qcow2 | while IFS= read -r file; do
    case $file in "$storage"/*/project.qcow2 | "$storage"/*/disk.qcow2) continue ;; esac
    base=$(printf '%s\n' "$file" | files_beneath | first_of_ours) || exit
    [ -z "$base" ] || refuse_volume "$file"
  done
}

# Whether a file is a qcow2 image on another one, other than those that were looked at. Of a thousand clones of one image, libvirt and
# qemu-img are asked about one: who stands on ours ends this, so what the others name the same way leads elsewhere.
may_stand() {
  case $1 in "$storage"/*/project.qcow2) return 1 ;; esac
  start=$(timeout -k 5 "$ANSWER" od -An -v -tx1 -N 20 -- "$1" 2>/dev/null) || return 0
  # shellcheck disable=SC2086 # a word a byte
  set -- "$1" $start
  case $start in ' 51 46 49 fb '*) ;; *) return 1 ;; esac
  [ $# -eq 21 ] || return 0
  offset=$((0x${10}${11}${12}${13}${14}${15}${16}${17})) end=$((offset + 0x${18}${19}${20}${21}))
  [ "$offset" -ne 0 ] || return 1
  if [ "$offset" -lt 72 ] || [ "$end" -lt "$offset" ] || [ "$end" -gt 65536 ]; then return 0; fi
  # The name of what it stands on, behind what says of which format that is.
  names=$(od -An -v -tx1 -j 72 -N $((end - 72)) -- "$1" 2>/dev/null) || return 0
  case $seen in *"|${1%/*} $names|"*) return 1 ;; esac
  seen="$seen|${1%/*} $names|"
}

disk=$1 domain=$2 uri=$3 ANSWER=$4
domains=$(virsh_do list --all --name) ||
  fail "$uri" "must tell within $ANSWER s which VMs there are" "look at libvirt there; then run this again"
if ! printf '%s\n' "$domains" | grep -qxF "$domain"; then
  refuse_overlays
  exit
fi
for view in '' --inactive; do
  # shellcheck disable=SC2086 # no word, where it is empty
  listed=$(virsh_do domblklist "$domain" --details $view) ||
    fail "$domain" "must have disks that libvirt tells of" "virsh -c $(shell_word "$uri") domblklist $domain"
  found=$(printf '%s\n' "$listed" | cut_type | ours_or_other "$view")
  case $found in
    'ours '*)
      [ -n "$view" ] || echo "${found#ours }"
      continue
      ;;
    '') continue ;;
  esac
  other=${found#other }
  target=${other%% *}
  commit="virsh -c $(shell_word "$uri") blockcommit $domain $target --active --pivot --verbose --base $(shell_word "$disk")"
  forget="virsh -c $(shell_word "$uri") snapshot-delete $domain <name> --metadata"
  fail "$domain" "must have $disk as $target, but has ${other#* }" \
    "if that is an overlay of a snapshot, write it back into ours while the VM runs: $commit; then forget the snapshot: $forget"
done
