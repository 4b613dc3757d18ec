import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { joinScript } from "../../../src/guest/tailnet-join.ts";

/** What a `tailscale` does here: whether it can log out, and where a key, and then a second connection, lead to. */
interface Ways {
  logout?: "works" | "fails";
  key?: string;
  again?: string;
}

/** How a VM in this state joins; by itself with a key that lets nobody in. */
function join(state: string, { logout = "works", key, again = state }: Ways = {}) {
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
      down) printf Stopped >state ;;
    esac
    case $* in
      up) printf ${again} >state ;;
      "up "*) echo "$*" >up; ${key === undefined ? 'echo "invalid key"; exit 1' : `printf ${key} >state`} ;;
    esac`,
  );
  const script = joinScript.replaceAll("/run/project-vm-key", at("key"));
  const { exitCode, stderr } = execaSync("/bin/sh", ["-c", script, "join", "project-web", ""], {
    input: "tskey-used-up",
    env: { PATH: `${dir}:${process.env.PATH}` },
    reject: false,
  });
  const [keepsIdentity, up] = [existsSync(at("identity")), readFileSync(at("up"), "utf8")];
  return { keepsIdentity, up, exitCode, said: stderr.trim() };
}

test.each(["Running", "Stopped", "NeedsMachineAuth", "Starting", "NoState"])(
  "a VM that is %s stays the device that it is where a key does not let it in",
  (state) => expect(join(state)).toMatchObject({ keepsIdentity: true, up: expect.stringContaining("--force-reauth") }),
);

test("one whose login does not hold forgets what it was, and registers once", () => {
  const forgotten = { keepsIdentity: false, up: expect.not.stringContaining("--force-reauth") };
  expect(join("NeedsLogin")).toMatchObject(forgotten);
});

test("one that cannot forget it joins under a new node key all the same", () => {
  expect(join("NeedsLogin", { logout: "fails" }).up).toContain("--force-reauth");
});

test("one that is logged in and stays on its way connects once more", () => {
  expect(join("NeedsLogin", { key: "Starting", again: "Running" }).exitCode).toBe(0);
  const stays = { exitCode: 1, said: "did not log in: Starting" };
  expect(join("NeedsLogin", { key: "Starting", again: "Starting" })).toMatchObject(stays);
});
