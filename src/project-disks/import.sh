#!/bin/sh
# Puts a qcow2 image as the disk of a project that has none, on its host and as root. An image that comes from elsewhere
# is looked at as a stranger: it must not lead to other files. The disk's own name is given to it at the very end, and
# only if nobody else has it.
#
# Usage: import.sh <project> <storageDir> <libvirt URI> <file on this host>
#        import.sh <project> <storageDir> <libvirt URI> - <bytes> <sha512> <its name>  (for the standard input)
# A file on this host is compared with the digest beside it, if there is one.
# The disk's size in bytes goes to standard output, progress to standard error.
set -eu
umask 077
export LC_ALL=C.UTF-8 LANGUAGE=

MARGIN=$((512 * 1048576)) # must stay free, in bytes
ANSWER=60                 # seconds for libvirt to answer, and for the image to be opened
EXAMINE=3600              # seconds for qemu-img to examine it
UNPACK=86400              # seconds for qemu-img to unpack it
# KiB for qemu-img to check it in: it takes some bytes for each cluster that the file has room for. Measured with QEMU 7.2, a file of 1 TiB
# takes 41 MiB (and as many addresses as 300 MiB) with clusters of 64 KiB, the default, and 520 MiB with clusters of 4 KiB.
MEMORY=1048576

say() { echo "$project: $*" >&2; }

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"

# An image from outside can keep it busy for as long as it likes. In the foreground, for Ctrl-C to end it.
qemu_img() {
  limit=$1
  shift
  timeout --foreground -k 5 "$limit" qemu-img "$@"
}

virsh_do() { timeout -k 5 "$ANSWER" virsh -q -c "$uri" "$@" 9<&-; }

mib() { echo "$(($1 / 1048576)) MiB"; }

clean_up() {
  rm -f "$disk.received" "$disk.partial"
  [ -z "$new_folder" ] || [ -e "$disk" ] || rmdir "$folder"
}

require_room() {
  have=$(($(df -Pk "$folder" | awk 'NR == 2 { print $4 }') * 1024))
  [ "$have" -ge $(($1 + MARGIN)) ] ||
    fail "$folder" "must have $(mib $(($1 + MARGIN))) free, but has $(mib "$have")" "free space there${2:-}"
}

# What a user's own program (FUSE) or a server says of a file's owner and rights binds neither of them.
others_may_write() {
  case $(stat -L -f -c %T -- "$1") in fuse* | nfs* | cifs | smb* | v9fs | ceph | afs) return ;; esac
  find -L "$1" -maxdepth 0 '(' ! -uid 0 -o -perm /022 ')' | grep -q .
}

require_by_itself() {
  by_itself=$(cat "${0%/*}/by-itself.sh")
  sh -c "$by_itself" "${0%/*}/by-itself.sh" "$image" "$shown" "$owner"
}

# What its owner writes to it meanwhile is not in the copy that is examined and unpacked. Before that no program of QEMU's reads what it
# says, which may be something else by then; as raw bytes it is only locked and copied.
copy() {
  require_by_itself
  # What is written into its holes meanwhile takes room as well.
  size=$(stat -L -c %s "$image")
  require_room "$size" "; a file that root alone may write to is not copied"
  say "copying, since other users than root may write to it"
  # shellcheck disable=SC3045 # in blocks of 512 bytes, as dash, bash and busybox have it
  (trap '' XFSZ && ulimit -f $(((size + 511) / 512)) && qemu_img "$UNPACK" convert -f raw -O raw "$image" "$disk.received") ||
    fail "$shown" "must be readable within $UNPACK s, in use by no other program, and must not grow while it is copied" \
      "see what qemu-img says above; who has it: fuser -v $(shell_word "$shown")"
  # Raw images end with a whole block.
  truncate -s "$size" "$disk.received"
  image=$disk.received
}

inode() { stat -L -c %d:%i -- "$1" 2>/dev/null; }

# A link may lead to another project's disk or backup, which root may read and the user who made the link may not. It is the opened file
# that is asked for its name: the name may lead elsewhere by now. import.ts does the same for a file that is streamed.
refuse_links() {
  own=$(readlink "$image")
  [ "$own" = "$(realpath -ms -- "$source")" ] ||
    fail "$source" "must be the path of the file itself, with no link in it" "name it by its own: $own"
  [ "$(stat -L -c %h "$image")" -eq 1 ] || only_roots ||
    fail "$source" "must have no other name (a hard link), which another user may have made" "name a copy of it, if it is the file that you mean"
}

# Whether root alone decides what that file is, and what is found on the way to it.
only_roots() {
  ! others_may_write "$image" || return
  step=$own
  while [ "$step" != / ]; do
    step=$(dirname "$step")
    ! others_may_write "$step" || return
  done
}

# The digest beside it: no more than one has, and from no pipe or device.
digest_beside() {
  [ -f "$source.sha512" ] || fail "$source.sha512" "must be a file" "remove it, or put the image's digest in its place"
  timeout "$ANSWER" head -c 128 -- "$source.sha512" | tr A-F a-f
}

# Opens the image for good: another file that somebody puts in its place is not the one that was examined. Where that is a pipe, who opens
# it waits: so a child does, within a limit, and only a file is opened here.
hold() {
  # shellcheck disable=SC2016 # the child's own
  holder=$(timeout -k 5 "$ANSWER" sh -c 'exec 8<"$1"; sleep "$2" >/dev/null 2>&1 & echo $!' sh "$source" "$ANSWER" 9<&-) || holder=none
  [ -f "/proc/$holder/fd/8" ] || fail "$source" "must be a file on the host" "name one that is there"
  exec 8<"/proc/$holder/fd/8"
  kill "$holder"
  image=/proc/self/fd/8
}

# The image as a file of this host that nobody else changes, in $image.
receive() {
  if [ "$source" = - ]; then
    require_room "$bytes"
    image=$disk.received
    head -c "$bytes" >"$image"
  else
    [ -f "$source" ] || fail "$source" "must be a file on the host" "name one that is there"
    hold
    refuse_links
    # Where others may write to it, nobody knows whose it is what it names.
    owner=$(find -L "$image" -maxdepth 0 ! -perm /022 -printf %U)
    others_may_write "$image" && copy
    [ -e "$source.sha512" ] || return 0
    sha512=$(digest_beside)
  fi
  [ "$(sha512sum <"$image" | cut -d ' ' -f 1)" = "$sha512" ] ||
    fail "$shown" "must have the SHA-512 that $shown.sha512 says" "copy it again: it was changed, or cut off"
}

examine() {
  require_by_itself
  # Named as what it must be: a raw image could pretend to be anything.
  qemu_img "$EXAMINE" info -f qcow2 "$image" >/dev/null ||
    fail "$shown" "must be a qcow2 image that stands by itself, and let itself be read within $EXAMINE s" "see what qemu-img says above"
  status=0
  # shellcheck disable=SC3045 # dash, bash and busybox have it
  (ulimit -v "$MEMORY" && qemu_img "$EXAMINE" check -q -f qcow2 "$image" >/dev/null 2>&1) || status=$?
  case $status in
    # 3: nothing is wrong, but some space is lost.
    0 | 3) ;;
    2) fail "$shown" "must be whole, but is corrupt" "take another backup; \`qemu-img check\` says what is wrong" ;;
    *) fail "$shown" "must let itself be checked by qemu-img within $EXAMINE s and $((MEMORY / 1024)) MiB of memory, but does not (exit code $status)" \
      "take another backup, or have whoever made the image rewrite it: qemu-img convert -O qcow2" ;;
  esac
}

unpack() {
  measured=$(qemu_img "$EXAMINE" measure -f qcow2 -O qcow2 "$image") ||
    fail "$shown" "must let itself be measured within $EXAMINE s" "see what qemu-img says above"
  require_room "$(printf '%s\n' "$measured" | sed -n 's/^required size: //p')"
  say "unpacking"
  qemu_img "$UNPACK" convert -f qcow2 -O qcow2 "$image" "$disk.partial" ||
    fail "$shown" "must be readable, and unpacked within $UNPACK s" "see what qemu-img says above"
  qemu-img check -q -f qcow2 "$disk.partial" >/dev/null 2>&1 ||
    fail "$disk.partial" "must be whole, but is not" "check the host's own disk"
  sync "$disk.partial"
}

# What is in a folder that a VM gets would be taken for the VM's own. An update takes a root and a seed that are ours; a disk that is
# imported gets new ones.
refuse_strangers() {
  ! virsh_do pool-info "project-$project" >/dev/null 2>&1 || return 0
  theirs=$(find "$folder" -mindepth 1 -maxdepth 1 ! -name 'project.qcow2*' ! -name lost+found -printf '%f\n' | sort | head -n 4 | paste -sd ' ' -)
  [ -z "$theirs" ] ||
    fail "$folder" "must have nothing in it before libvirt has the pool project-$project there, but has $theirs" \
      "move that elsewhere, or import it as another project's"
}

# libvirt finds the disk by its pool.
make_pool() {
  pool=project-$project
  virsh_do pool-info "$pool" >/dev/null 2>&1 ||
    virsh_do pool-define-as "$pool" dir --target "$folder" >&2
  virsh_do pool-autostart "$pool" >&2
  virsh_do pool-info "$pool" | grep -q '^State: *running' || virsh_do pool-start "$pool" >&2
}

already() {
  fail "$disk" "must not be there yet: nothing is overwritten" "to replace it, purge it first: project-vm purge $project"
}

main() {
  project=$1 uri=$3 source=$4 bytes=${5:-} sha512=${6:-} shown=${7:-$4} owner=''
  folder=$2/$project
  disk=$folder/project.qcow2
  mounted=$(cat "${0%/*}/mounted.sh")
  sh -c "$mounted" "${0%/*}/mounted.sh" "$folder"
  new_folder=yes
  [ ! -d "$folder" ] || new_folder=''
  (umask 066 && mkdir -p "$folder")
  exec 9<"$folder"
  flock -n 9 ||
    fail "$folder" "must not be worked on twice at once" "wait until the other import, backup or removal has ended"
  for left in "$disk.received" "$disk.partial"; do
    [ "$source" = - ] || [ ! -e "$left" ] || [ "$(inode "$source")" != "$(inode "$left")" ] ||
      fail "$source" "must not be what an import that was cut off has left there" "move it elsewhere first"
  done
  [ -n "$new_folder" ] || refuse_strangers
  trap clean_up EXIT
  trap 'exit 130' INT TERM HUP PIPE
  [ ! -e "$disk" ] || already
  receive
  examine
  unpack
  make_pool
  # Of a disk that is gone.
  rm -f "$disk".restoring.*
  # A link and not a rename: it never takes the place of a disk that has come meanwhile.
  said=$(ln "$disk.partial" "$disk" 2>&1) || {
    [ ! -e "$disk" ] || already
    fail "$folder" "must be on a filesystem that has links, but: $said" "give storageDir a place on ext4, xfs or the like"
  }
  rm "$disk.partial"
  sync "$folder"
  virsh_do pool-refresh "$pool" >&2
  qemu-img info -U -f qcow2 --output json "$disk" | sed -n 's/^ *"virtual-size": \([0-9]*\).*/\1/p'
}

main "$@"
