#!/bin/sh
# The first process of an embedded host: PID 1 of its own PID namespace, started by src/embedded-host/embedded.ts through
# unshare(1). It arranges the mounts, then keeps libvirtd running. Nothing in here outlives it: killing PID 1 kills
# every QEMU and dnsmasq.
#
# Usage: embedded-inside.sh <dir> <kvm|emulated>
# By this command line, root as its user and its namespaces the host is recognised: embedded-look.ts.

# How often libvirtd may die within FAST seconds of its start before this gives up and says so; while a guest runs it is started
# again every RETRY seconds: with this process all guests would end, and one of them may be what libvirtd dies of.
TRIES=3
FAST=5
RETRY=10
# Bytes that libvirtd's log may have before it becomes libvirtd.log.1.
LOG_BYTES=4194304
# How often that, and whom this host knows, is looked at, in seconds.
PAUSE=5
# Debian's reserved number for the user libvirt-qemu, which QEMU runs as; qemu.conf names it too.
QEMU_ID=64055

# Takes away all mounts at and below a path. The outermost takes along what is below it, which may be another user's (FUSE in
# /dev/shm): that one is not asked for, nor followed anywhere. One that has gone meanwhile is as good.
let_go_of() {
    while at=$(outermost "$1") && [ -n "$at" ]; do
        umount -l "$(decoded "$at")" || [ "$(outermost "$1")" != "$at" ]
    done
}

outermost() {
    awk -v path="$1" '
        ($5 == path || index($5, path "/") == 1) && (at == "" || length($5) < length(at)) { at = $5 }
        END { print at }
    ' /proc/self/mountinfo
}

# A path of mountinfo: a blank is \040 there, and printf reads \0040.
decoded() {
    printf %b "$(printf %s "$1" | sed 's/\\\([0-7]\{3\}\)/\\0\1/g')"
}

hide_machine() {
    # Other hosts' and `ip netns` namespaces are pinned by the copies of their bind mounts in here: let go of them. One may have
    # ended meanwhile; and `ip netns` has one mounted twice where /run is shared, the second below the first: it goes with the machine's.
    awk '/ - nsfs / { print $5 }' /proc/self/mountinfo | while read -r at; do
        umount -l "$(decoded "$at")" 2>/dev/null || :
    done
    mount -t proc proc /proc
    # A fresh sysfs shows this network namespace's devices, and no cgroups: libvirt then leaves the machine's cgroups
    # alone.
    let_go_of /sys
    mount -t sysfs sysfs /sys
    # No /run of the machine: no D-Bus, no systemd-machined, no firewall lock shared with the machine's own firewall.
    mount -t tmpfs -o mode=0755,size=64m tmpfs /run
    mkdir -p /run/libvirt /run/lock
}

mount_own() {
    mount --bind "$1/libvirt/etc" /etc/libvirt
    mount --bind "$1/libvirt/lib" /var/lib/libvirt
    mount --bind "$1/libvirt/cache" /var/cache/libvirt
    mount --bind "$1/libvirt/log" /var/log/libvirt
}

# A /dev of its own, with what guests need. libvirt changes the owners of device nodes: these are not the machine's.
# And libvirt probes QEMU again at each use (8 s a VM) while its own idea of /dev/kvm differs from what QEMU finds: so
# there is either a node that the QEMU user may open, or none.
make_dev() {
    mkdir /run/dev
    mount -t tmpfs -o mode=0755,nosuid,size=1m tmpfs /run/dev
    mkdir /run/dev/net /run/dev/pts /run/dev/shm
    for node in null zero full random urandom tty net/tun vhost-net; do
        [ -c "/dev/$node" ] && cp -a "/dev/$node" "/run/dev/$node"
    done
    if [ "$1" = kvm ]; then
        cp -a /dev/kvm /run/dev/kvm
        chown "$QEMU_ID:$QEMU_ID" /run/dev/kvm
        chmod 0600 /run/dev/kvm
    fi
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts /run/dev/pts
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /run/dev/shm
    ln -s pts/ptmx /run/dev/ptmx
    ln -s /proc/self/fd /run/dev/fd
    # Off with the machine's /dev wholly: libvirt stumbles over mounts that others cover.
    let_go_of /dev
    mount --move /run/dev /dev
    rmdir /run/dev
}

# Debian's libvirtd does not start where the user libvirt-qemu is unknown, and only its system package makes that one. And dnsmasq
# becomes `nobody`, or what its build (Fedora's) or libvirt's (Ubuntu's) says, each of which in here is a user that no other process has:
# one could read and forge the guests' DNS. The machine's own files stay as they are. It may know users from elsewhere too (altfiles, sss):
# its files are asked first in here, and have each of these.
know_users() {
    dns_user=$(cat ../dnsmasq-user)
    if grep -s '^[[:blank:]]*passwd:' /etc/nsswitch.conf | grep -qv ':[[:blank:]]*files'; then
        sed 's/^[[:blank:]]*passwd:/& files/' /etc/nsswitch.conf | own nsswitch.conf
    fi
    users | cmp -s - /etc/passwd || users | own passwd
    getent group libvirt-qemu >/dev/null || { cat /etc/group; echo "libvirt-qemu:x:$QEMU_ID:"; } | own group
}

users() {
    awk -F: -v OFS=: -v id="$dns_user" '
        BEGIN { count = split("nobody dnsmasq libvirt-dnsmasq", names, " "); for (i in names) ours[names[i]] = 1 }
        $1 in ours { $3 = id; known[$1] = 1 }
        { print }
        END {
            for (i = 1; i <= count; i++)
                if (!(names[i] in known)) print names[i] ":x:" id ":65534:" names[i] ":/:/usr/sbin/nologin"
        }
    ' /etc/passwd
    getent passwd libvirt-qemu >/dev/null ||
        echo "libvirt-qemu:x:$QEMU_ID:$QEMU_ID:Libvirt Qemu:/var/lib/libvirt:/usr/sbin/nologin"
}

# Has a file of /etc be what comes in; written aside, for it may be mounted there already, and two may do this at once.
own() {
    new=$(mktemp "./$1.XXXXXX") && cat >"$new" && chmod 0644 "$new" && mv "$new" "$1" && mount --bind "$1" "/etc/$1"
}

# Bounds what guests print, also while libvirtd restarts. When it dies it comes back; guests that ran then are logged
# again from their next start.
keep_virtlogd() {
    while :; do
        virtlogd --config /etc/libvirt/virtlogd.conf
        echo "virtlogd ended with exit code $?"
        sleep 0.5
    done
}

# libvirtd writes an error for whatever a guest's agent says that is none of its answers. It appends, so an emptied log goes on.
# And a mount on /etc/passwd goes away when somebody adds a user to the machine: dnsmasq may start at any time.
tend() {
    log=/var/log/libvirt/libvirtd.log
    while :; do
        know_users
        [ ! -e "$log" ] || [ "$(stat -c %s "$log")" -le "$LOG_BYTES" ] ||
            { tail -c "$LOG_BYTES" "$log" >"$log.1"; : >"$log"; }
        sleep "$PAUSE"
    done
}

# libvirtd starts guests at once, and none without it.
wait_for_virtlogd() {
    tries=0
    until [ -S /run/libvirt/virtlogd-sock ] || [ "$tries" -ge 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
}

# The DNS server of guests' networks asks through the uplink, by its address for that (embedded-uplink.sh): this machine's own
# resolver is out of reach in here. Where resolv.conf is a link into /run, that is ours.
know_resolver() {
    file=$(readlink -m /etc/resolv.conf)
    case $file in /run/*) mkdir -p "${file%/*}" && touch "$file" ;; esac
    [ -f "$file" ] && ! grep -q 198.18.0.3 "$file" || return
    echo "nameserver 198.18.0.3" >resolv.conf
    mount --bind resolv.conf "$file"
}

# By an argument that libvirt gives it: the way out is a QEMU too.
guest_runs() {
    grep -qsz "^guest=" /proc/[0-9]*/cmdline
}

# Seconds for limits: others set the clock of the day.
clock() {
    cut -d . -f 1 /proc/uptime
}

keep_libvirtd() {
    failures=0
    while [ "$failures" -lt "$TRIES" ] || guest_runs; do
        if [ "$failures" -ge "$TRIES" ]; then
            echo "libvirtd does not stay up, but guests run: it starts again in $RETRY s"
            sleep "$RETRY"
        fi
        know_users
        know_resolver
        started=$(clock)
        libvirtd --config /etc/libvirt/libvirtd.conf &
        wait $!
        code=$?
        echo "libvirtd ended with exit code $code"
        if [ $(($(clock) - started)) -lt "$FAST" ]; then failures=$((failures + 1)); else failures=0; fi
        sleep 0.5
    done
    echo "libvirtd does not stay up: $TRIES tries within $FAST seconds each"
}

main() {
    dir=$1
    # Not that of the user who started the host: under 077 QEMU could not get through the folders that libvirtd makes.
    umask 022
    set -e
    # Held open before /run is covered, for a <dir> that lies below /run.
    cd "$dir/run"
    hide_machine
    mount --bind ./libvirt /run/libvirt
    mount_own "$dir"
    make_dev "$2"
    ip link set lo up
    set +e
    trap 'exit 0' TERM
    know_users
    tend &
    keep_virtlogd &
    wait_for_virtlogd
    keep_libvirtd
    exit 1
}

main "$@"
