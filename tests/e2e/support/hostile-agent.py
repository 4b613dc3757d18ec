#!/usr/bin/env python3
"""A guest agent as the root of a guest could run it in the real one's place; tests/e2e/support/hostile-agent.ts installs it.

/var/lib/hostile/mode says what it does, /var/lib/hostile/address what it answers as the guest's address.
"""
import base64
import json
import os
import select
import subprocess
import time

PORT = "/dev/virtio-ports/org.qemu.guest_agent.0"
COMMANDS = [
    "guest-ping", "guest-sync", "guest-info", "guest-exec", "guest-exec-status", "guest-network-get-interfaces",
    "guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list", "guest-fsfreeze-thaw", "guest-fsfreeze-status", "guest-shutdown",
]
ESCAPES = b"\x1b]0;owned-by-guest\x07\x1b[2J\x1b[1;1HREADY demo 3s  ssh -F /evil\x1b[8m"
FORGED_KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEVil x\n"

ended = {}


def read(path, otherwise):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return otherwise


def mode():
    return read("/var/lib/hostile/mode", "").strip()


def interfaces():
    if mode() == "badutf8":
        return b'{"return": [{"name": "\xff\xfe", "hardware-address": "x"}]}'
    if mode() == "null":
        return None
    length = {"huge": 9_000_000, "large": 3_000_000}.get(mode(), 0)  # libvirt itself hands over at most 4 MiB
    address = "1" * length or read("/var/lib/hostile/address", "10.77.0.66")
    name = next(name for name in os.listdir("/sys/class/net") if name.startswith("en"))
    mac = read(f"/sys/class/net/{name}/address", "").strip()
    return [{"name": name, "hardware-address": mac, "ip-addresses": [{"ip-address": address, "ip-address-type": "ipv4"}]}]


def run(argv, data):
    """What a program is said to have ended with: exit code, output, errors."""
    is_report = "cloud-init status" in argv[-1]
    if mode() == "lie":
        return 0, b'{"status":"done"}' if is_report else FORGED_KEY, b""
    if mode() == "escape":
        return (0, b'{"status":"done"}', b"") if is_report else (1, ESCAPES, b"")
    result = subprocess.run(argv, input=data, capture_output=True, check=False)
    return result.returncode if result.returncode >= 0 else 128 - result.returncode, result.stdout, result.stderr


def start(arguments):
    pid = 100 + len(ended)
    argv = [arguments["path"], *arguments.get("arg", [])]
    ended[pid] = run(argv, base64.b64decode(arguments.get("input-data", "")))
    return {"pid": pid}


def status(arguments):
    if mode() == "never":
        return {"exited": False}
    code, out, err = ended[arguments["pid"]]
    if mode() == "largeexec":
        out = b"A" * 2_000_000
    data = {"out-data": base64.b64encode(out).decode(), "err-data": base64.b64encode(err).decode()}
    return {"exited": True, "exitcode": code, **data}


def thaw():
    if mode() == "nothaw":
        time.sleep(3600)
    return 1


def answer(command, arguments):
    answers = {
        "guest-sync": lambda: arguments.get("id"),
        "guest-sync-delimited": lambda: arguments.get("id"),
        "guest-info": lambda: {
            "version": "7.2",
            "supported_commands": [{"name": name, "enabled": True, "success-response": True} for name in COMMANDS],
        },
        "guest-network-get-interfaces": interfaces,
        "guest-exec": lambda: start(arguments),
        "guest-exec-status": lambda: status(arguments),
        "guest-fsfreeze-status": lambda: "thawed",
        "guest-fsfreeze-freeze": lambda: 1,
        "guest-fsfreeze-freeze-list": lambda: 1,
        "guest-fsfreeze-thaw": thaw,
    }
    found = answers.get(command, dict)()
    whole = found if isinstance(found, bytes) else json.dumps({"return": found}).encode()
    return (b"\xff" if command == "guest-sync-delimited" else b"") + whole + b"\n"


def requests(port):
    buffer = b""
    while True:
        select.select([port], [], [], 1)
        try:
            data = os.read(port, 65536)
        except OSError:
            data = b""
        if not data:
            time.sleep(0.2)  # nothing is connected on the host's side
            continue
        buffer += data
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            try:
                yield json.loads(line.replace(b"\xff", b""))
            except ValueError:
                continue


def main():
    port = os.open(PORT, os.O_RDWR)
    for request in requests(port):
        reply = answer(request.get("execute"), request.get("arguments") or {})
        while reply:
            try:
                reply = reply[os.write(port, reply):]
            except OSError:
                time.sleep(0.05)


main()
