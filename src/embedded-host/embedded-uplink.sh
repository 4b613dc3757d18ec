#!/bin/sh
# The way out of an embedded host's guests: QEMU's user-mode network (libslirp), between the host's network namespace and this
# machine's. It is a process without any right that makes connections, as a browser does: no rule of this machine's firewall and none
# of its routes changes, and nothing from outside comes in. Run by root in this machine's namespaces but in the host's PID
# namespace, with which it ends; whoever wants it gone before that sends TERM.
#
# Usage: embedded-uplink.sh <dir> <user ID>
# That user has no other process (embedded-users.ts): one of its own could read and forge what guests send, and end this.
#
# To this machine a guest's connection is one of its own, so what must not be reached is cut off before it gets here, by routes
# in the host's network namespace: private networks, and this machine itself.

DEVICE=uplink0
# The link itself, of the range for benchmarks: any private one may be a network of the host's.
LINK=198.18.0.0/24
ADDRESS=198.18.0.15/24
GATEWAY=198.18.0.2
# This machine's resolver, as libslirp shows it.
RESOLVER=198.18.0.3
# Private, shared (tailnets), loopback, link-local (clouds' metadata), Azure's own service, benchmarks, multicast, reserved and
# broadcast. https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
CLOSED="0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.168.0.0/16
198.18.0.0/15 224.0.0.0/4 240.0.0.0/4"
# Behind the routes to the host's own networks.
METRIC=9999
# Connections at a time: each takes one of this machine's ports, of which a guest must not take them all.
CONNECTIONS=4096
# Seconds, in tenths, for QEMU to take its end of the link.
PATIENCE=100

there() {
    nsenter --net="$netns" "$@"
}

# Behind the link's own addresses are this machine's loopback and its resolver. Only questions to the resolver may go there, and
# none of a guest's: the host's DNS server asks. A guest that has got out of its QEMU is in this namespace, too.
close_private() {
    # They may be there since an earlier one, and are never gone in between.
    for protocol in udp tcp; do
        there ip -4 rule add priority 100 iif lo to "$RESOLVER" ipproto "$protocol" dport 53 lookup main 2>/dev/null
    done
    there ip -4 rule add priority 101 to "$LINK" unreachable 2>/dev/null
    there ip -4 rule show | grep -q "^101:.*to $LINK unreachable" || return 1
    # Of an earlier version.
    there ip -4 rule del priority 100 iif lo to "$LINK" lookup main 2>/dev/null
    for range in $CLOSED; do there ip -4 route replace unreachable "$range" metric "$METRIC" || return 1; done
}

# This machine's own addresses and the networks that it stands in; all but those that are closed anyway. It stands in those of its
# addresses: others that a link leads to may be all of the internet, as a VPN's are.
machine() {
    own=$(ip -4 route show table local) && addresses=$(ip -4 -o address show) && [ -n "$own" ] || return 1
    {
        printf '%s\n' "$own" | awk '$1 == "local" || $1 == "broadcast" { print $2 }'
        printf '%s\n' "$addresses" | awk '$3 == "inet" { print $5 == "peer" ? $6 : $4 }'
    } | beyond_closed | sort -u
}

# Of addresses in networks, one a line, the networks; but for those that lie within what is closed anyway.
beyond_closed() {
    awk -F/ -v closed="$CLOSED" '
        function number(address,  part) { split(address, part, "."); return ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 + part[4] }
        function dotted(n) { return int(n / 16777216) "." int(n / 65536) % 256 "." int(n / 256) % 256 "." n % 256 }
        BEGIN {
            count = split(closed, ranges, /[ \n]+/)
            for (i = 1; i <= count; i++) { split(ranges[i], range, "/"); from[i] = number(range[1]); to[i] = from[i] + 2 ^ (32 - range[2]) }
        }
        {
            bits = $2 == "" ? 32 : $2; size = 2 ^ (32 - bits); first = number($1); first -= first % size
            for (i = 1; i <= count; i++) if (first >= from[i] && first + size <= to[i]) next
            print dotted(first) (bits < 32 ? "/" bits : "")
        }'
}

# Networks of this machine that hold so much of the internet that closing them would leave no way out.
too_wide() {
    machine | grep '/[0-7]$'
}

# There is no way out where an address cannot be closed, or the addresses cannot be detected.
close_machine() {
    ranges=$(machine) || return 1
    ranges=$(printf '%s\n' "$ranges" | grep -v '/[0-7]$')
    for range in $ranges; do there ip -4 route replace unreachable "$range" metric "$METRIC" || return 1; done
}

# The tap belongs to the namespace that it is opened in, and is there for as long as QEMU is.
connect() {
    exec nsenter --net="$netns" perl -e '
        open(my $tap, "+<", "/dev/net/tun") or die "/dev/net/tun: $!\n";
        ioctl($tap, 0x400454ca, pack("a16 S x22", shift, 0x1002)) or die "no tap: $!\n"; # TUNSETIFF, IFF_TAP | IFF_NO_PI
        open(STDIN, "<&", $tap) or die "dup: $!\n";
        exec @ARGV or die "exec: $!\n";
    ' "$DEVICE" nsenter --net=/proc/self/fd/9 \
        setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
        qemu-system-x86_64 -name "$name" -machine none -accel tcg,tb-size=1 -nodefaults -no-user-config -nographic -monitor none \
        -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny \
        -netdev "user,id=out,net=$LINK,host=$GATEWAY,ipv6=off" -netdev tap,id=in,fd=0 \
        -netdev hubport,id=a,hubid=0,netdev=out -netdev hubport,id=b,hubid=0,netdev=in
}

set_up() {
    tries=0
    until there ip link set "$DEVICE" up 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt "$PATIENCE" ] && kill -0 "$link" || return 1
        sleep 0.1
    done
    # What came while nobody listened for it yet.
    close_machine || return 1
    there ip -4 address add "$ADDRESS" dev "$DEVICE" &&
        there ip -4 route add default via "$GATEWAY" dev "$DEVICE" onlink
}

main() {
    netns=$1/run/netns
    user=$2
    # By this it is known, too.
    name="uplink of $1"
    exec 9</proc/self/ns/net
    close_private || exit 1
    # It cannot be raised again. Where the machine's own limit is lower, that one holds.
    ulimit -n "$CONNECTIONS" 2>/dev/null || true
    connect &
    link=$!
    # It leads a process group of its own.
    trap 'trap "" TERM; kill 0; exit 0' TERM
    # An address that this machine gets while this runs is closed at once.
    {
        ip -4 monitor address route 2>/dev/null | while read -r _; do close_machine || break; done
        kill "$$"
    } &
    set_up && too_wide | sed 's/^/uplink: left open: /' && echo "uplink: up" && wait "$link"
    echo "uplink: ended"
    kill 0
}

main "$@"
