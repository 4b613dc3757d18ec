"""Sends, from a guest whose root is hostile, frames that claim to be somebody else's, each with its name in its payload.

Usage: raw-frames.py <interface> <own address> <victim's address> <gateway's address> <round>
Those whose names begin with "fair" are a guest's right, and show that the way is open.
"""

import socket
import struct
import sys
import time

interface, own_ip, victim_ip, gateway_ip, turn = sys.argv[1:]
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((interface, 0))
own = link.getsockname()[4]
other = bytes.fromhex("525400badbad")
everybody = b"\xff" * 6
own4, victim4, gateway4 = (socket.inet_aton(one) for one in (own_ip, victim_ip, gateway_ip))
free4 = own4[:3] + bytes([own4[3] ^ 128])
own_link = bytes.fromhex("fe80000000000000") + bytes([own[0] ^ 2]) + own[1:3] + b"\xff\xfe" + own[3:]
all_nodes = socket.inet_pton(socket.AF_INET6, "ff02::1")
IPV4, IPV6, ARP, VLAN = 0x0800, 0x86DD, 0x0806, 0x8100


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mark(name):
    return f"<{turn}:{name}>".encode()


def ether(kind, payload, to=everybody, source=own):
    return to + source + struct.pack("!H", kind) + payload


def arp(name, sender, ip, kind=2, target=None, hardware=1):
    head = struct.pack("!HHBBH", hardware, IPV4, 6, 4, kind)
    return head + sender + ip + everybody + (target or victim4) + mark(name)


def udp(source, to, data):
    return struct.pack("!HHHH", source, to, 8 + len(data), 0) + data


def ipv4(data, source, to, fragment=0, options=b"", protocol=17):
    words = 5 + len(options) // 4
    size = words * 4 + len(data)
    head = struct.pack("!BBHHHBBH4s4s", 64 + words, 0, size, 7, fragment, 9, protocol, 0, source, to) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + data


def fragments(name, data, source, to):
    """The name is in the second one, which has no ports."""
    return [(name, ether(IPV4, ipv4(data[:16], source, to, 0x2000))), (name, ether(IPV4, ipv4(data[16:], source, to, 2)))]


def ipv6(data, protocol, source=own_link, to=all_nodes):
    return struct.pack("!IHBB16s16s", 6 << 28, len(data), protocol, 255, source, to) + data


def advertisement(name, kind=134):
    prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 9999, 9999, 0, socket.inet_pton(socket.AF_INET6, "2001:db8::"))
    body = struct.pack("!BBHBBHII", kind, 0, 0, 64, 0, 1800, 0, 0) + prefix + mark(name)
    pseudo = own_link + all_nodes + struct.pack("!II", len(body), 58)
    return body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]


def offer(name, source=67):
    """A DHCP answer, as far as a filter looks into it."""
    return udp(source, 68, b"\2\1\6\0" + b"\0" * 232 + bytes.fromhex("63825363350102ff") + mark(name))


def frames():
    broadcast = b"\xff" * 4
    nobody = b"\0" * 4

    def plain(name):
        return udp(4000, 4000, mark(name))

    yield "fair-arp", ether(ARP, arp("fair-arp", own, own4))
    yield "fair-probe", ether(ARP, arp("fair-probe", own, nobody, 1, own4))
    yield "fair-ipv4", ether(IPV4, ipv4(plain("fair-ipv4"), own4, victim4))
    yield "fair-dhcp", ether(IPV4, ipv4(udp(68, 67, mark("fair-dhcp")), nobody, broadcast))

    for whose, ip in (("gateway", gateway4), ("free", free4), ("victim", victim4)):
        for kind in (1, 2):
            yield f"arp-{whose}-{kind}", ether(ARP, arp(f"arp-{whose}-{kind}", own, ip, kind))
        yield f"gratuitous-{whose}", ether(ARP, arp(f"gratuitous-{whose}", own, ip, 2, ip))
        yield f"ipv4-{whose}", ether(IPV4, ipv4(plain(f"ipv4-{whose}"), ip, victim4))
    yield "arp-other-hardware", ether(ARP, arp("arp-other-hardware", other, own4))
    yield "arp-ieee802", ether(ARP, arp("arp-ieee802", own, gateway4, 2, None, 6))
    yield "arp-nobody-probe", ether(ARP, arp("arp-nobody-probe", own, nobody, 1))
    yield "arp-nobody-reply", ether(ARP, arp("arp-nobody-reply", own, nobody, 2))
    yield "ipv4-nobody", ether(IPV4, ipv4(plain("ipv4-nobody"), nobody, victim4))
    yield "ipv4-options", ether(IPV4, ipv4(plain("ipv4-options"), gateway4, victim4, 0, b"\1" * 8))
    yield from fragments("ipv4-fragments", udp(4000, 4000, b"." * 8 + mark("ipv4-fragments")), gateway4, victim4)
    yield "icmp-redirect", ether(IPV4, ipv4(b"\5\1\0\0" + own4 + mark("icmp-redirect"), gateway4, victim4, 0, b"", 1))
    yield "mac-arp", ether(ARP, arp("mac-arp", other, own4), everybody, other)
    yield "mac-ipv4", ether(IPV4, ipv4(plain("mac-ipv4"), own4, victim4), everybody, other)

    for source, ip in (("own", own4), ("gateway", gateway4), ("nobody", nobody)):
        yield f"dhcp-offer-{source}", ether(IPV4, ipv4(offer(f"dhcp-offer-{source}"), ip, broadcast))
    for port in (68, 6767):
        yield f"dhcp-offer-from-{port}", ether(IPV4, ipv4(offer(f"dhcp-offer-from-{port}", port), own4, broadcast))
    yield "dhcp-offer-options", ether(IPV4, ipv4(offer("dhcp-offer-options"), own4, broadcast, 0, b"\1" * 8))
    yield from fragments("dhcp-offer-fragments", offer("dhcp-offer-fragments"), gateway4, victim4)

    yield "ra", ether(IPV6, ipv6(advertisement("ra"), 58))
    yield "ra-hop-by-hop", ether(IPV6, ipv6(b"\x3a\0\5\2\0\0\1\0" + advertisement("ra-hop-by-hop"), 0))
    yield "ra-fragment", ether(IPV6, ipv6(b"\x3a\0\0\0\0\0\0\1" + advertisement("ra-fragment"), 44))
    yield "redirect", ether(IPV6, ipv6(advertisement("redirect", 137), 58))
    yield "neighbour", ether(IPV6, ipv6(advertisement("neighbour", 136), 58))
    yield "dhcpv6", ether(IPV6, ipv6(udp(547, 546, mark("dhcpv6")), 17))
    yield "ipv6", ether(IPV6, ipv6(udp(4000, 4000, mark("ipv6")), 17))

    for tag in (0x8100, 0x88A8):
        for vlan in (0, 5):
            name = f"vlan-{tag:x}-{vlan}"
            tagged = struct.pack("!HH", vlan, ARP) + arp(name, own, gateway4)
            yield name, ether(tag, tagged)
            tagged = struct.pack("!HH", vlan, IPV6) + ipv6(advertisement(f"{name}-ra"), 58)
            yield f"{name}-ra", ether(tag, tagged)
    inner = struct.pack("!HH", 0, VLAN) + struct.pack("!HH", 0, ARP)
    yield "vlan-twice", ether(VLAN, inner + arp("vlan-twice", own, gateway4))
    yield "rarp", ether(0x8035, arp("rarp", own, own4, 3))
    yield "lldp", ether(0x88CC, mark("lldp"))
    yield "experimental", ether(0x88B5, mark("experimental"))
    snap = b"\xaa\xaa\3\0\0\0" + struct.pack("!H", IPV4) + ipv4(plain("snap"), gateway4, victim4)
    yield "snap", ether(len(snap), snap)


def spanning_tree():
    """Says that this is a bridge, the root of all, with the longest delays that there are."""
    identity = b"\0\0" + own
    bpdu = b"\0" * 5 + identity + b"\0" * 4 + identity + bytes.fromhex("80010000060001001e00")
    frame = b"\x42\x42\3" + bpdu
    return ether(len(frame), frame, bytes.fromhex("0180c2000000"))


def link_local():
    """For bridges themselves, in another's name: no filter sees these."""
    for last in ("02", "03", "0e"):
        yield ether(0x88CC, b"", bytes.fromhex("0180c20000" + last), other)


for name, frame in frames():
    link.send(frame.ljust(60, b"\0"))
    print(name)
    time.sleep(0.01)
for frame in (spanning_tree(), *link_local()):
    link.send(frame.ljust(60, b"\0"))
