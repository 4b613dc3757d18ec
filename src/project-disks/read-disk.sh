#!/bin/sh
# Prints what a project disk's file says of itself: its allocated bytes, then base64 of its header and of its table of
# snapshots, one a line. Without a disk: `none`, then the projects that have one. Only reads, also while a VM runs.
# On a disk that is not mounted it is not known whether it is there.
#
# Usage: read-disk.sh <storageDir> <project>
set -eu
export LC_ALL=C

# Room for some thousand snapshots.
TABLE=524288

disk=$1/$2/project.qcow2

big_endian() {
  od -An -v -tu1 -j "$1" -N 8 "$disk" | awk '{ for (i = 1; i <= NF; i++) n = n * 256 + $i } END { printf "%.0f\n", n }'
}
base64_line() { base64 | tr -d '\n' && echo; }

mounted=$(cat "${0%/*}/mounted.sh")
sh -c "$mounted" "${0%/*}/mounted.sh" --beside "$disk" "$1/$2"
# Not `test`, to which what may not be seen is not there.
if ! found=$(ls -d "$disk" 2>&1); then
  case $found in
    *'No such file'* | *'Not a directory'*) ;;
    *) echo "$found" >&2 && exit 1 ;;
  esac
  echo none
  for other in "$1"/*/project.qcow2; do
    [ ! -e "$other" ] || basename "$(dirname "$other")"
  done
  exit
fi
echo $(($(du -k "$disk" | cut -f 1) * 1024))
head -c 80 "$disk" | base64_line
table=$(big_endian 64)
[ "$table" -eq 0 ] || tail -c +$((table + 1)) "$disk" | head -c "$TABLE" | base64_line
