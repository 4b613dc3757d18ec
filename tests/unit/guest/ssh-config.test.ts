import { expect, test } from "vitest";
import { sshFiles, sshPathTo } from "../../../guest/ssh-config.ts";

test("each VM with an address is a host of its own, with its keys pinned under its name", () => {
  const files = sshFiles(
    [
      {
        name: "web",
        addresses: ["10.77.0.6"],
        hostKeys: ["ssh-ed25519 BBBB"],
        tailnetName: "project-web.tail1.ts.net",
      },
      { name: "app", addresses: ["10.77.0.5", "fd00::5"], hostKeys: ["ecdsa-sha2-nistp256 EEEE", "ssh-ed25519 AAAA"] },
      { name: "off", addresses: [], hostKeys: [] },
    ],
    { proxyCommand: "nsenter --net=/run/x nc %h %p", identityFile: "/home/me/key" },
    "/state/known_hosts",
  );
  expect(files.config).toBe(`Host project-app
  HostName 10.77.0.5
  HostKeyAlias project-app
  User dev
  UserKnownHostsFile "/state/known_hosts"
  StrictHostKeyChecking yes
  ProxyCommand nsenter --net=/run/x nc %h %p
  IdentityFile "/home/me/key"

Host project-web
  HostName 10.77.0.6
  HostKeyAlias project-web
  User dev
  UserKnownHostsFile "/state/known_hosts"
  StrictHostKeyChecking yes
  ProxyCommand nsenter --net=/run/x nc %h %p
  IdentityFile "/home/me/key"

Host project-web.tail1.ts.net
  HostKeyAlias project-web
  User dev
  UserKnownHostsFile "/state/known_hosts"
  StrictHostKeyChecking yes
`);
  expect(files.knownHosts).toBe(
    "project-app ecdsa-sha2-nistp256 EEEE\nproject-app ssh-ed25519 AAAA\nproject-web ssh-ed25519 BBBB\n",
  );
});

test.each([
  ["qemu:///system", {}],
  ["qemu+unix:///system?socket=/run/x", {}],
  ["qemu+ssh://root@storage/system", { proxyJump: "root@storage" }],
  ["qemu+ssh://storage:2222/system", { proxyJump: "storage:2222" }],
  [
    "qemu+ssh://root@storage/system?keyfile=/keys/storage",
    { proxyCommand: "ssh -i '/keys/storage' -W '[%h]:%p' root@storage" },
  ],
  [
    "qemu+ssh://root@storage:2222/system?sshauth=privkey&keyfile=/keys/it's%2050%25",
    { proxyCommand: "ssh -i '/keys/it'\\''s 50%%' -p 2222 -W '[%h]:%p' root@storage" },
  ],
])("the VMs of %s are reached by %o", (uri, path) => {
  expect(sshPathTo(uri)).toEqual(path);
});
