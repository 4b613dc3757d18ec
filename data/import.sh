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
ANSWER=60                 # seconds for libvirt to answer

say() { echo "$project: $*" >&2; }

# What is wrong, which rule it breaks, what to do.
fail() {
  printf 'error: %s: %s\nremedy: %s\n' "$1" "$2" "$3" >&2
  exit 1
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
    fail "$folder" "must have $(mib $(($1 + MARGIN))) free, but has $(mib "$have")" "free space there"
}

others_may_write() { find -L "$1" -maxdepth 0 '(' ! -uid 0 -o -perm /022 ')' | grep -q .; }

# What its owner writes to it meanwhile is not in the copy that is examined and unpacked.
copy() {
  # A copy knows nothing of a program that has the image in use.
  examine
  require_room "$(($(stat -L -c '%b * %B' "$image")))"
  say "copying, since other users than root may write to it"
  cp --reflink=auto "$image" "$disk.received"
  image=$disk.received
}

inode() { stat -L -c %d:%i -- "$1" 2>/dev/null; }

# A link may lead to another project's disk or backup, which root may read and the user who made the link may not. It is the opened file
# that is asked for its name: the name may lead elsewhere by now. import.ts does the same for a file that is streamed.
refuse_links() {
  own=$(readlink "$image")
  [ "$own" = "$(realpath -ms -- "$source")" ] ||
    fail "$source" "must be the path of the file itself, with no link in it" "name it by its own: $own"
}

# The digest beside it: no more than one has, and from no pipe or device.
digest_beside() {
  [ -f "$source.sha512" ] || fail "$source.sha512" "must be a file" "remove it, or put the image's digest in its place"
  timeout "$ANSWER" head -c 128 -- "$source.sha512" | tr A-F a-f
}

# The image as a file of this host that nobody else changes, in $image.
receive() {
  if [ "$source" = - ]; then
    require_room "$bytes"
    image=$disk.received
    cat >"$image"
  else
    [ -f "$source" ] || fail "$source" "must be a file on the host" "name one that is there"
    # Held open: another file that somebody puts in its place is not the one that was examined.
    exec 8<"$source"
    image=/proc/self/fd/8
    refuse_links
    others_may_write "$image" && copy
    [ -e "$source.sha512" ] || return 0
    sha512=$(digest_beside)
  fi
  [ "$(sha512sum <"$image" | cut -d ' ' -f 1)" = "$sha512" ] ||
    fail "$shown" "must have the SHA-512 that $shown.sha512 says" "copy it again: it was changed, or cut off"
}

# Hexadecimal digits of the header. https://www.qemu.org/docs/master/interop/qcow2.html
digits() { echo "$header" | cut -c "$1"; }

# Before a program of QEMU's opens it, and with it whatever it names.
examine_header() {
  header=$(od -An -v -tx1 -N 80 "$image" | tr -d ' \n')
  [ "$(digits 1-8)" = 514649fb ] || fail "$shown" "must be a qcow2 image" "convert it: qemu-img convert -O qcow2"
  others=no
  [ "$(digits 17-32)" = 0000000000000000 ] || others=yes
  # Version 3 has a bit that says that the data is in a file of its own.
  [ "$(digits 9-16)" = 00000002 ] || case $(digits 160) in [4-7c-f]) others=yes ;; esac
  [ "$others" = no ] ||
    fail "$shown" "must not need another file beside it" "make it one: qemu-img convert -O qcow2"
  [ "$(digits 65-72)" = 00000000 ] ||
    fail "$shown" "must not be encrypted" "decrypt it with qemu-img convert"
}

examine() {
  examine_header
  # Named as what it must be: a raw image could pretend to be anything.
  qemu-img info -f qcow2 "$image" >/dev/null ||
    fail "$shown" "must be a qcow2 image that stands by itself" "see what qemu-img says above"
  status=0
  qemu-img check -q -f qcow2 "$image" >/dev/null 2>&1 || status=$?
  # 3: nothing is wrong, but some space is lost.
  [ "$status" -eq 0 ] || [ "$status" -eq 3 ] ||
    fail "$shown" "must be whole, but is corrupt" "take another backup; \`qemu-img check\` says what is wrong"
}

unpack() {
  require_room "$(qemu-img measure -f qcow2 -O qcow2 "$image" | sed -n 's/^required size: //p')"
  say "unpacking"
  qemu-img convert -f qcow2 -O qcow2 "$image" "$disk.partial" ||
    fail "$shown" "must be readable" "see what qemu-img says above"
  qemu-img check -q -f qcow2 "$disk.partial" >/dev/null 2>&1 ||
    fail "$disk.partial" "must be whole, but is not" "check the host's own disk"
  sync "$disk.partial"
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
  project=$1 uri=$3 source=$4 bytes=${5:-} sha512=${6:-} shown=${7:-$4}
  folder=$2/$project
  disk=$folder/project.qcow2
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
