import { expect, test } from "vitest";
import { hostUnreachable } from "../../../host/unreachable.ts";

const failed = "failed to connect to the hypervisor; ";

test.each([
  [
    "qemu+ssh://root@storage/system",
    "Cannot recv data: Host key verification failed.: Connection reset by peer",
    "Log in once by hand and check its key: ssh root@storage",
  ],
  [
    "qemu+ssh://root@storage:2222/system",
    "Cannot recv data: root@storage: Permission denied (publickey).: Connection reset by peer",
    "Let your SSH key in there, and into an agent here: ssh-copy-id -p 2222 root@storage",
  ],
  [
    "qemu+ssh://root@storagee/system",
    "Cannot recv data: ssh: Could not resolve hostname storagee: Name or service not known: Connection reset by peer",
    "Correct the host's name in the URI.",
  ],
  [
    "qemu+ssh://root@storage/system",
    "Cannot recv data: ssh: connect to host storage port 22: Connection refused: Connection reset by peer",
    "Is it up? Try: ssh root@storage",
  ],
  ["qemu+ssh://root@storage/system", "no connection within 10 s", "Is it up? Try: ssh root@storage"],
  [
    "qemu+ssh://root@storage/system",
    "End of file while reading data: sh: 1: virt-ssh-helper: not found: Input/output error",
    "Install and start libvirtd there.",
  ],
  [
    "qemu:///system",
    "Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory",
    "Start libvirtd (systemctl start libvirtd), or leave `host` out of the config for the embedded one.",
  ],
  [
    "qemu:///system",
    "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'",
    "Run it as root, or as a member of the group libvirt.",
  ],
  ["qemu+tls://storage/system", "unable to connect", "Try it by hand: virsh -c 'qemu+tls://storage/system' list"],
])("%s: %s", (uri, reason, remedy) => {
  const error = hostUnreachable(uri, failed + reason);
  expect(error.message).toContain(`(${reason})`);
  expect(error.issues.map((issue) => issue.remedy)).toEqual([remedy]);
});
