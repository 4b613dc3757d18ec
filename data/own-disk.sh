#!/bin/sh
# Refuses a VM that has another file in its project disk's place. What was written since an external snapshot is in an overlay, and
# no copy of the disk has it: whether the VM is on or off, now or from its next start on. No VM is no hindrance.
#
# Usage: own-disk.sh <disk> <domain> <libvirt URI> <seconds for libvirt to answer>
set -eu
export LC_ALL=C.UTF-8 LANGUAGE=

# What is wrong, which rule it breaks, what to do.
fail() {
  printf 'error: %s: %s\nremedy: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

virsh_do() { timeout -k 5 "$answer" virsh -q -c "$uri" "$@"; }

# Of what domblklist --details lists, the file of the second disk, unless it is ours.
other_than_ours() {
  awk -v file="$disk" '
    { path = $0; sub(/^ *[^ ]+ +[^ ]+ +[^ ]+ +/, "", path) }
    $3 == "vdb" && path != file { print path }'
}

disk=$1 domain=$2 uri=$3 answer=$4
domains=$(virsh_do list --all --name) ||
  fail "$uri" "must tell within $answer s which VMs there are" "look at libvirt there; then run this again"
printf '%s\n' "$domains" | grep -qxF "$domain" || exit 0
for view in '' --inactive; do
  # shellcheck disable=SC2086 # no word, where it is empty
  listed=$(virsh_do domblklist "$domain" --details $view) ||
    fail "$domain" "must have disks that libvirt tells of" "virsh -c '$uri' domblklist $domain"
  other=$(printf '%s\n' "$listed" | other_than_ours)
  commit="virsh -c '$uri' blockcommit $domain vdb --active --pivot --verbose --base '$disk'"
  forget="virsh -c '$uri' snapshot-delete $domain <name> --metadata"
  [ -z "$other" ] || fail "$domain" "must have $disk as vdb, but has $other" \
    "if that is an overlay of a snapshot, write it back into ours while the VM runs: $commit; then forget the snapshot: $forget"
done
