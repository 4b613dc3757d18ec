#!/bin/sh
# Tells of projects' disks and finished backups what a list of VMs needs, with one look however many projects there are.
# Only reads. What this user may not see, or is on a disk that is not mounted, is an error, for it is not known then whether it is there.
#
# Usage: newest-backups.sh <storageDir> <project>...
# Prints `now <seconds>`, `disk <when it was made, in seconds; 0: not known> <project>/project.qcow2` for each disk, and
# `backups/<project>/<file>` for each finished backup.
set -eu
export LC_ALL=C

storage=$1
shift
echo "now $(date +%s)"
for project; do
  set -- "$@" "$project/project.qcow2"
  shift
done
# Not `test`, to which what may not be seen is not there.
found=$( (ls -d "$storage/." && cd "$storage" && stat -c 'disk %W %n' "$@") 2>&1) || {
  unknown=$(printf '%s\n' "$found" | grep -v -e '^disk ' -e 'No such file' -e 'Not a directory' | grep -vxF "$storage/." || true)
  [ -z "$unknown" ] || { echo "$unknown" >&2 && exit 1; }
}
printf '%s\n' "$found"
if ! found=$(ls -d "$storage/backups" 2>&1); then
  case $found in
    *'No such file'* | *'Not a directory'*) ;;
    *) echo "$found" >&2 && exit 1 ;;
  esac
else
  cd "$storage/backups"
  for disk; do
    project=${disk%/project.qcow2}
    [ -e "$project" ] || continue
    [ -r "$project" ] || { echo "$storage/backups/$project: Permission denied" >&2 && exit 1; }
    for file in "$project"/*.qcow2; do
      [ ! -e "$file.sha512" ] || echo "backups/$file"
    done
  done
fi
for disk; do
  set -- "$@" "$storage/$disk" "$storage/backups/${disk%/project.qcow2}"
  shift
done
mounted=$(cat "${0%/*}/mounted.sh")
sh -c "$mounted" "${0%/*}/mounted.sh" "$storage" "$@"
