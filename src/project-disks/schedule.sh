#!/bin/sh
# Puts the backups of a project into the hands of the host's systemd, or takes them out of it; can be repeated.
#
# Usage: schedule.sh install <unit> <service's text> <timer's text> <backup script's text>
#        schedule.sh remove <unit>
# Prints `unscheduled` when the host runs no systemd; the script for cron is then in its place all the same.
set -eu
umask 022

UNITS=/etc/systemd/system
SCRIPTS=/usr/local/lib/project-vms

# The standard input as the file $1 with the mode $2, which is never there half.
write() {
  cat >"$1.new"
  chmod "$2" "$1.new"
  mv "$1.new" "$1"
}

runs_systemd() { [ -d /run/systemd/system ]; }

install() {
  mkdir -p "$SCRIPTS"
  printf '%s' "$4" | write "$SCRIPTS/backup.sh" 0755
  if ! runs_systemd; then
    echo unscheduled
    return
  fi
  printf '%s' "$2" | write "$UNITS/$1.service" 0644
  printf '%s' "$3" | write "$UNITS/$1.timer" 0644
  systemctl daemon-reload
  systemctl enable --quiet "$1.timer"
  # A timer that runs takes up a new time only so.
  systemctl restart "$1.timer"
}

remove() {
  if runs_systemd; then
    systemctl disable --quiet --now "$1.timer" 2>/dev/null || true
    # When it last ran, which systemd would remember.
    systemctl clean --what=state "$1.timer" 2>/dev/null || true
    rm -f "$UNITS/$1.service" "$UNITS/$1.timer"
    systemctl daemon-reload
  fi
  # Others may need it: other projects, and whoever schedules by cron.
  grep -rqsF "$SCRIPTS/backup.sh" "$UNITS" /etc/crontab /etc/cron.d /var/spool/cron && return
  rm -f "$SCRIPTS/backup.sh"
  rmdir "$SCRIPTS" 2>/dev/null || true
}

action=$1
shift
case $action in
  install) install "$@" ;;
  remove) remove "$@" ;;
esac
