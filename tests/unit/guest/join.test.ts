import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { joinScript } from "../../../src/guest/tailnet-join.ts";

/** How a VM in this state joins with a key that lets nobody in, by a `tailscale` that may or may not be able to log out. */
function join(state: string, logout: "works" | "fails" = "works") {
  const dir = mkdtempSync(path.join(tmpdir(), "join-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const at = (name: string) => path.join(dir, name);
  const program = (name: string, text: string) =>
    writeFileSync(at(name), `#!/bin/sh\ncd "\${0%/*}"\n${text}\n`, { mode: 0o755 });
  writeFileSync(at("identity"), "");
  writeFileSync(at("state"), state);
  program("sleep", "");
  program(
    "tailscale",
    `case $1 in
      status) printf '{"BackendState":"%s"}' "$(cat state)"; exit ;;
      logout) ${logout === "works" ? "rm identity; printf NeedsLogin >state" : "exit 1"} ;;
      up) echo "$*" >up; echo "invalid key"; exit 1 ;;
    esac`,
  );
  const script = joinScript.replaceAll("/run/project-vm-key", at("key"));
  execaSync("/bin/sh", ["-c", script, "join", "project-web", ""], {
    input: "tskey-used-up",
    env: { PATH: `${dir}:${process.env.PATH}` },
    reject: false,
  });
  return { keepsIdentity: existsSync(at("identity")), up: readFileSync(at("up"), "utf8") };
}

test.each(["Running", "Stopped", "NeedsMachineAuth", "Starting", "NoState"])(
  "a VM that is %s stays the device that it is where a key does not let it in",
  (state) => expect(join(state)).toEqual({ keepsIdentity: true, up: expect.stringContaining("--force-reauth") }),
);

test("one whose login does not hold forgets what it was, and registers once", () => {
  expect(join("NeedsLogin")).toEqual({ keepsIdentity: false, up: expect.not.stringContaining("--force-reauth") });
});

test("one that cannot forget it joins under a new node key all the same", () => {
  expect(join("NeedsLogin", "fails").up).toContain("--force-reauth");
});
