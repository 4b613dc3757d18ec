import { readFileSync } from "node:fs";
import { execa } from "execa";
import { expect, test } from "vitest";

const functions = readFileSync("host/embedded-uplink.sh", "utf8").replace(/^main "\$@"$/m, "");

/** How closing this machine's addresses ends, and which were closed, with an `ip` of the test's own here and there. */
async function close(ip: string, there = "echo") {
  const script = `${functions}\nip() { ${ip}\n}\nthere() { ${there} "$@"\n}\nclose_machine`;
  const { exitCode, stdout } = await execa("sh", ["-c", script], { reject: false });
  return { exitCode, closed: [...stdout.matchAll(/unreachable (\S+)/g)].map(([, range]) => range) };
}

const local = "local 127.0.0.1 dev lo\nlocal 203.0.113.7 dev eth0\nlocal 192.168.1.2 dev eth1";
const links = "203.0.113.0/24 dev eth0\n192.168.1.0/24 dev eth1";

test("this machine's addresses and networks are closed, but for what is closed anyway", async () => {
  const ip = `case $* in *local*) echo '${local}' ;; *) echo '${links}' ;; esac`;
  expect(await close(ip)).toEqual({ exitCode: 0, closed: ["203.0.113.0/24", "203.0.113.7"] });
  expect(await close(`case $* in *local*) echo 'local 127.0.0.1 dev lo' ;; esac`)).toEqual({ exitCode: 0, closed: [] });
});

test.each([
  ["its own addresses are not known", "case $* in *local*) return 1 ;; esac", undefined],
  ["there seem to be none", "true", undefined],
  ["its networks are not known", `case $* in *local*) echo '${local}' ;; *) return 1 ;; esac`, undefined],
  ["one cannot be closed", `echo '${local}'`, "false"],
])("where %s, that fails, and there is no way out", async (_, ip, there) => {
  expect(await close(ip, there)).toEqual({ exitCode: 1, closed: [] });
});
