#!/bin/sh
# Runs one virsh command while a project disk's filesystem is frozen in its guest: nothing is being written to it, and all
# that was is on the disk. The guest's agent is the guest's: it may answer late, wrongly or never. So each question has a
# limit of its own, and whatever becomes of its caller, this goes on to the thaw. One of ours freezes at a time: who thaws,
# thaws for the others too. All but the wait for that turn takes at most 6 minutes; a guest that does not thaw, about one.
#
# Usage: frozen.sh <the project's folder> <libvirt URI> <domain> <mountpoint> <virsh command>
# Prints what the command prints and, as its last line, `frozen=<answer> thawed=<yes|no> within=<seconds>,<seconds>`.
# The answers to a freeze: yes; no, also where there is no agent; refused; silent, where it may yet freeze.
set -eu
export LC_ALL=C.UTF-8 LANGUAGE=
# A hang-up, ^C or the end of a systemd unit does not come between freeze and thaw.
trap '' HUP INT TERM PIPE

LOCK=600    # seconds to wait for another program that works on the disk
PING=5      # for the agent to show that it is there
FREEZE=30   # for its answer to the freeze
COMMAND=120 # for the virsh command
THAW=10     # for one answer to a thaw
THAWED=60   # in which it is asked to thaw, again and again
LIBVIRT=45  # that libvirt may take itself to put a question: 30 for its lock on the agent, twice 5 for `guest-sync`

refusal=$(cat "${0%/*}/refusal.sh")
eval "$refusal"

# Seconds for limits: others set the clock of the day.
clock() { cut -d . -f 1 /proc/uptime; }

# With a limit for this question alone: `virsh guest-agent-timeout` would set one for everybody who asks this agent, and
# there is no way to see which one was set before.
agent() {
  timeout -k 5 $(($2 + LIBVIRT)) virsh -q -c "$uri" qemu-agent-command "$domain" "$1" --timeout "$2" 2>&1 8<&-
}

# The agent's answer, within $2 s, to a question about file systems: how many, or `refused`. Nothing of the guest's own words.
ask() {
  answer=$(agent "$1" "$2" | head -c 4096 | tr -d '\000') || true
  case $answer in
    *'unable to execute QEMU agent command'*) echo refused ;;
    *) printf '%s\n' "$answer" | sed -n 's/^{"return":\([0-9]\{1,4\}\)}$/\1/p' | head -n 1 ;;
  esac
}

# Whoever asks for nothing more than a sign of life waits 5 s, not 30, for an agent that hangs.
freeze() {
  agent '{"execute":"guest-ping"}' "$PING" >/dev/null || return 0
  frozen=$(ask "{\"execute\":\"guest-fsfreeze-freeze-list\",\"arguments\":{\"mountpoints\":[\"$mountpoint\"]}}" "$FREEZE")
  case $frozen in
    '') frozen=silent ;;
    0) frozen=no ;;
    refused) ;;
    *) frozen=yes ;;
  esac
}

# A thaw may come to nothing where an agent has too much to do (0), or thaw and answer too late (then the next one is 0).
# An agent that was silent may have the freeze before it still.
thaw() {
  asked_since=$(clock) late=
  while :; do
    count=$(ask '{"execute":"guest-fsfreeze-thaw"}' "$THAW")
    case $count in
      '') late=yes ;;
      refused) [ "$frozen" != refused ] || return 0 ;;
      0) [ "$frozen$late" = yes ] || return 0 ;;
      *) return 0 ;;
    esac
    [ $(($(clock) - asked_since)) -lt "$THAWED" ] || return 1
    sleep 1
  done
}

run_command() {
  timeout -k 5 "$COMMAND" virsh -c "$uri" "$command" 2>&1 8<&- && return
  [ $? -lt 124 ] || echo "error: no answer within $COMMAND s"
}

folder=$1 uri=$2 domain=$3 mountpoint=$4 command=$5
exec 8<"$folder"
flock -w "$LOCK" 8 ||
  fail "$folder" "must be released within $LOCK s by the program that works on the disk" "wait until that has ended; who it is: fuser -v $(shell_word "$folder")"
frozen=no thawed=yes
freeze
output=$(run_command) || true
[ "$frozen" = no ] || thaw || thawed=no
printf '%s\nfrozen=%s thawed=%s within=%s,%s\n' "$output" "$frozen" "$thawed" "$FREEZE" "$THAWED"
