#!/bin/sh
# Refuses an image that leads to other files, by its header alone: a program of QEMU's would open them, as root, whatever they are.
# The header's fields: https://www.qemu.org/docs/master/interop/qcow2.html
#
# Usage: by-itself.sh <project disk, or a copy of one>
#        by-itself.sh <image from elsewhere> <its name> <number of the user who alone may write to it; empty: it is not known>
set -eu

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"

# Which rule it breaks, and what is to be done with an image from elsewhere: by its owner, for root would read whatever it names.
refuse() {
  command='qemu-img convert -O qcow2'
  case $owner in
    '') remedy="have whoever made it $2: $command" ;;
    0) remedy="where you know what it names, $2: $command" ;;
    *) remedy="have its owner $2, not root, who may read more: sudo -u '#$owner' $command" ;;
  esac
  fail "$shown" "$1" "${project_disk:-$remedy}"
}

# Hexadecimal digits of the header.
digits() { echo "$header" | cut -c "$1"; }

shown=${2:-$1} owner=${3:-} project_disk=''
[ $# -gt 1 ] || project_disk='another program has written that: keep the file to look into it, and go back to a backup (docs/data.md)'
header=$(od -An -v -tx1 -N 80 "$1" | tr -d ' \n')
[ "$(digits 1-8)" = 514649fb ] || refuse "must be a qcow2 image" "convert it"
others=no
[ "$(digits 17-32)" = 0000000000000000 ] || others=yes
# Version 3 has a bit that says that the data is in a file of its own.
[ "$(digits 9-16)" = 00000002 ] || case $(digits 160) in [4-7c-f]) others=yes ;; esac
[ "$others" = no ] || refuse "must not need another file beside it" "make it one"
[ "$(digits 65-72)" = 00000000 ] || refuse "must not be encrypted" "decrypt it"
