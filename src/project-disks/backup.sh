#!/bin/sh
# Makes one backup of a project's disk, on its host and as root: <storageDir>/backups/<project>/<project>-<UTC>.qcow2,
# compressed and checked, with its SHA-512 beside it. The VM may run: its filesystem is frozen for a moment only.
# A file of that name is always whole; what a run that was killed left behind goes at the next one.
# No guest holds it up beyond the limits here and in frozen.sh; how long an honest copy takes is a matter of its size.
#
# Usage: backup.sh [--keep <number>] [--unless-within <seconds>] [--stdout] <project> <storageDir> <libvirt URI>
#   --keep           afterwards only the newest <number> backups of this project stay
#   --unless-within  does nothing when the newest backup is not older; one that is stamped in the future does not count
#   --stdout         writes the backup there instead, and `sha512 <digest>` to standard error
# The backup's path goes to standard output, progress to standard error. Exit code 3: there is a backup, but the guest may
# still be frozen.
set -eu
umask 077
export LC_ALL=C.UTF-8 LANGUAGE=

MOUNT=/home/dev/project
MARGIN=$((512 * 1048576)) # must stay free, in bytes
ANSWER=60                 # seconds for libvirt to answer, and for a job to end that is to
STALLED=600               # seconds in which a job must get on
HEARTBEAT=20              # seconds between two signs of life
STAMP='[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z'

say() { echo "$project: $*" >&2; }

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"

# Seconds for limits: others set the clock of the day.
clock() { cut -d . -f 1 /proc/uptime; }

mib() { echo "$(($1 / 1048576)) MiB"; }

virsh_do() { timeout -k 5 "$ANSWER" virsh -q -c "$uri" "$@" 9<&-; }

# Without standing in the way of a signal.
await() {
  "$@" &
  child=$!
  status=0
  wait "$child" || status=$?
  child=
  return "$status"
}

read_arguments() {
  keep='' fresh='' to_stdout=''
  while [ $# -gt 3 ]; do
    case $1 in
      --keep) keep=$2 && shift ;;
      --unless-within) fresh=$2 && shift ;;
      --stdout) to_stdout=yes ;;
      *) break ;;
    esac
    shift
  done
  [ $# -eq 3 ] || fail backup.sh "must have three arguments behind its options" "see the beginning of backup.sh"
  project=$1 storage=$2 uri=$3
  domain=project-$project
  folder=$storage/$project
  disk=$folder/project.qcow2
  dir=$storage/backups/$project
}

# What a run that was killed left: a job in QEMU, unfinished files, the digest of a backup that did not come.
clear_leftovers() {
  end_job
  # shellcheck disable=SC2086 # a pattern
  rm -f "$dir/$project"-$STAMP.*partial
  for digest in "$dir/$project"-$STAMP.qcow2.sha512; do
    [ -e "${digest%.sha512}" ] || rm -f "$digest"
  done
}

# Ends a backup job of the VM that writes into our folder.
end_job() {
  end=$(($(clock) + ANSWER))
  while virsh_do backup-dumpxml "$domain" 2>/dev/null | grep -qF "$(xml_text "$dir/")"; do
    virsh_do domjobabort "$domain" 2>/dev/null || true
    [ "$(clock)" -lt "$end" ] ||
      fail "$domain" "must end the job of the backup before within $ANSWER s, but does not" "virsh -c $(shell_word "$uri") domjobabort $domain"
    sleep 0.2
  done
}

clean_up() {
  status=$?
  trap '' INT TERM HUP PIPE
  # What was begun between freeze and thaw may yet start a job.
  [ -z "${frozen:-}" ] || wait "$frozen" || true
  [ -z "${beat:-}" ] || kill "$beat" 2>/dev/null || true
  [ -z "${child:-}" ] || kill "$child" 2>/dev/null || true
  [ -z "${child:-}" ] || wait "$child" || true
  [ -z "${live:-}" ] || end_job
  rm -f "$dir/$project-$stamp".*partial
  exit "$status"
}

# The stamps of all finished backups, oldest first.
finished() {
  for file in "$dir/$project"-$STAMP.qcow2; do
    [ ! -e "$file.sha512" ] || basename "${file#"$dir/$project-"}" .qcow2
  done
}

# One from the future was made by a clock that was wrong: how old it is, nobody knows.
dated() { finished | awk -v now="$(date -u +%Y%m%dT%H%M%SZ)" '$0 <= now'; }

say_undated() {
  ahead=$(finished | awk -v now="$(date -u +%Y%m%dT%H%M%SZ)" '$0 > now' | tail -n 1)
  [ -z "$ahead" ] || say "the backup of $ahead is stamped in the future, and does not count"
}

is_fresh() {
  say_undated
  newest=$(dated | tail -n 1)
  since=$(date -u -d "@$(($(date +%s) - fresh))" +%Y%m%dT%H%M%SZ)
  [ "$(printf '%s\n' "$newest" "$since" | sort | tail -n 1)" = "$newest" ]
}

# Room for so many copies of what the disk takes up now.
require_room() {
  need=$(($(du -k "$disk" | cut -f 1) * 1024 * $1 + MARGIN))
  have=$(($(df -Pk "$dir" | awk 'NR == 2 { print $4 }') * 1024))
  [ "$have" -ge "$need" ] ||
    fail "$dir" "must have $(mib "$need") free, but has $(mib "$have")" "free space there, or keep fewer backups"
}

# Only a clear answer counts: the disk of a guest that writes is not to be read.
is_active() {
  if state=$(virsh_do domstate "$domain" 2>/dev/null) && [ -n "$state" ]; then
    [ "$state" != 'shut off' ]
    return
  fi
  # There is no state of a VM that is not there.
  if domains=$(virsh_do list --all --name) && ! printf '%s\n' "$domains" | grep -qxF "$domain"; then return 1; fi
  fail "$uri" "must answer within $ANSWER s, but does not say whether $domain runs" "look at libvirt there, and restart it"
}

# What its guest had not yet written stands in its saved memory alone.
say_saved_memory() {
  saved=$(virsh_do list --all --name --with-managed-save) ||
    fail "$uri" "must tell within $ANSWER s which VMs have saved memory" "look at libvirt there; then run this again"
  ! printf '%s\n' "$saved" | grep -qxF "$domain" ||
    say "its memory is saved (virsh managedsave), so the backup is as after a power cut; for a whole one start it first"
}

xml_text() { printf %s "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g'; }

# QEMU copies the disk as it is at this moment to $copy, while the VM goes on.
copy_live() {
  live=yes
  copy=$dir/$project-$stamp.live.partial
  cat >"$dir/$project-$stamp.job.partial" <<END
<domainbackup mode="push"><disks><disk name="$1" type="file" backup="yes">
  <driver type="qcow2"/><target file="$(xml_text "$copy")"/>
</disk></disks></domainbackup>
END
  # Whose job it was that ended last is forgotten.
  virsh_do domjobinfo "$domain" --completed >/dev/null 2>&1 || true
  begin_job "$(shell_word "$dir/$project-$stamp.job.partial")"
  wait_for_job
  live=
}

# In a session of its own, whatever becomes of this one, and into a file: there is no pipe to break.
begin_job() {
  said=$dir/$project-$stamp.said.partial
  frozen_script=$(cat "${0%/*}/frozen.sh")
  setsid sh -c "$frozen_script" "${0%/*}/frozen.sh" "$folder" "$uri" "$domain" "$MOUNT" \
    "backup-begin $domain --backupxml $1" </dev/null >"$said" 2>&1 9<&- &
  frozen=$!
  wait "$frozen" || true
  frozen=
  read_frozen "$(tail -n 1 "$said")"
  grep -q '^Backup started' "$said" && return
  reason=$(sed -n 's/^error: \(..*\)/\1/p' "$said" | tr '\n' ' ')
  fail "$disk" "must be copied by libvirt, but it says: $reason" "if $domain has another job, wait until that has ended"
}

# The last line that frozen.sh prints; it has another when it did not get that far.
read_frozen() {
  limits=${1##*within=}
  case $1 in
    frozen=yes*) ;;
    frozen=silent*) say "the guest's agent did not freeze the disk within ${limits%,*} s: the backup is as after a power cut" ;;
    frozen=*) say "the guest's agent did not freeze the disk: the backup is as after a power cut" ;;
    *) cat "$said" >&2 && exit 1 ;;
  esac
  case $1 in
    *thawed=no*) unthawed=${limits#*,} && say "the guest did not thaw within $unthawed s: it may be frozen; the copy goes on" ;;
  esac
}

wait_for_job() {
  remaining='' since=$(clock)
  said_at=$since
  while job=$(virsh_do domjobinfo "$domain" 2>&1) && ! echo "$job" | grep -q '^Job type: *None'; do
    now=$(clock)
    left=$(echo "$job" | sed -n 's/^File remaining: *//p')
    [ "$left" = "$remaining" ] || since=$now
    remaining=$left
    [ $((now - since)) -lt "$STALLED" ] ||
      fail "$disk" "must be copied, but $left are left for $STALLED s" "look at its host"
    [ $((now - said_at)) -lt "$HEARTBEAT" ] || { said_at=$now && say "copying, $left left"; }
    await sleep 0.5
  done
  # It tells of a job once.
  virsh_do domjobinfo "$domain" --completed 2>/dev/null | grep -q '^Job type: *Completed' ||
    fail "$domain" "must run until its disk is copied, but it or the copy was stopped" "run this again"
}

# $1, compressed, as $packed.
pack() {
  packed=$dir/$project-$stamp.qcow2.partial
  by_itself=$(cat "${0%/*}/by-itself.sh")
  sh -c "$by_itself" "${0%/*}/by-itself.sh" "$1" 9<&-
  say_packed &
  beat=$!
  # The lock on the image is kept: nobody else writes to it meanwhile.
  await qemu-img convert -c -f qcow2 -O qcow2 "$1" "$packed" ||
    fail "$1" "must be readable and in use by nobody else" "see above; if its VM was just started, run this again"
  await qemu-img check -q -f qcow2 "$packed" 2>/dev/null ||
    fail "$packed" "must be whole, but is not" "check the host's own disk"
  kill "$beat" 2>/dev/null || true
  digest=$(sha512sum "$packed" | cut -d ' ' -f 1)
}

# Holds neither the lock nor, once it is killed, the output.
say_packed() {
  exec 9<&-
  while sleep "$HEARTBEAT" >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
    say "packed $(mib $(($(du -k "$packed" | cut -f 1) * 1024))) so far"
  done
}

# The backup comes last: where it is, all of it is.
publish() {
  name=$project-$stamp.qcow2
  echo "$digest  $name" >"$dir/$name.sha512.partial"
  await sync "$packed" "$dir/$name.sha512.partial"
  mv "$dir/$name.sha512.partial" "$dir/$name.sha512"
  mv "$packed" "$dir/$name"
  await sync "$dir"
}

# Backups that are too many, the oldest first, but never the one just made, whatever the clock said. Those from the future
# displace no other one.
expire() {
  [ -n "$fresh" ] || say_undated
  excess=$(($(dated | wc -l) - keep))
  for old in $(dated); do
    [ "$excess" -gt 0 ] || break
    [ "$old" != "$stamp" ] || continue
    rm -f "$dir/$project-$old.qcow2" "$dir/$project-$old.qcow2.sha512"
    say "removed the backup of $old"
    excess=$((excess - 1))
  done
}

make_backup() {
  own_disk=$(cat "${0%/*}/own-disk.sh")
  target=$(sh -c "$own_disk" "${0%/*}/own-disk.sh" "$disk" "$domain" "$uri" "$ANSWER" 9<&-)
  if is_active && [ -n "$target" ]; then
    require_room 2
    copy_live "$target"
    pack "$copy"
  else
    say_saved_memory
    require_room 1
    pack "$disk"
  fi
}

# The copy is as good as any: it is delivered first. But somebody must look at the guest.
require_thawed() {
  [ -n "$unthawed" ] || return 0
  (fail "$domain" "must thaw $MOUNT within $unthawed s after the copy began, but its guest's agent did not" \
    "in the guest: sudo fsfreeze --unfreeze $MOUNT, or restart it: project-vm restart $project") || exit 3
}

main() {
  read_arguments "$@"
  for program in virsh qemu-img flock setsid sha512sum; do
    command -v "$program" >/dev/null || fail "$program" "must be on the PATH of the host" "install it there"
  done
  # What is written below a disk that is away is no backup when it comes back, and counts for none of those there.
  mounted=$(cat "${0%/*}/mounted.sh")
  sh -c "$mounted" "${0%/*}/mounted.sh" --beside "$disk" "$folder" "$dir"
  [ -e "$disk" ] || fail "$disk" "must be there" "name a project that has a disk"
  no_restore=$(cat "${0%/*}/no-restore.sh")
  sh -c "$no_restore" "${0%/*}/no-restore.sh" "$disk"
  # QEMU itself writes below: it may pass through, and sees nothing.
  (umask 066 && mkdir -p "$dir")
  exec 9<"$dir"
  flock -n 9 || fail "$disk" "must not be backed up twice at once" "wait until the other backup has ended"
  clear_leftovers
  if [ -n "$fresh" ] && is_fresh; then
    say "the newest backup is recent enough"
    exit
  fi
  stamp=$(date -u +%Y%m%dT%H%M%SZ) unthawed=
  trap clean_up EXIT
  trap 'exit 130' INT TERM HUP PIPE
  make_backup
  if [ -n "$to_stdout" ]; then
    echo "sha512 $digest" >&2
    cat "$packed"
    require_thawed
    return
  fi
  publish
  [ -z "$keep" ] || expire
  echo "$dir/$project-$stamp.qcow2"
  require_thawed
}

main "$@"
