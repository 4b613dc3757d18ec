import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { tidyingCommand } from "../../../components/entry-command.ts";

let dir: string;
let server: Server;
beforeEach(async () => {
  dir = mkdtempSync(path.join(tmpdir(), "cancelled-"));
  // Some of an image, and then nothing.
  server = createServer((_request, response) => void response.write(Buffer.from("QFI\xfb", "latin1")));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true });
});

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The processes that live and of which something holds. */
const processes = (holds: (pid: number, status: string) => boolean) =>
  readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      const status = pid > 0 ? textOf(`/proc/${pid}/status`) : "";
      return status !== "" && !/^State:\tZ/m.test(status) && holds(pid, status);
    });
const childrenOf = (parent: number) => processes((_, status) => status.includes(`\nPPid:\t${parent}\n`));
/** What a process is doing, nothing where it has ended: for a failure to tell. */
const doing = (pid: number) =>
  processes((one) => one === pid).map(() => [textOf(`/proc/${pid}/cmdline`), textOf(`/proc/${pid}/status`)]);

/** Runs the step of a base image as the command plugin does. */
function startStep(image: object, env: object = {}) {
  const shell = spawn(
    "/bin/sh",
    ["-c", tidyingCommand(pathToFileURL(path.resolve("src/steps/publish-base-image.ts")))],
    {
      env: {
        ...process.env,
        ...env,
        XDG_CACHE_HOME: dir,
        PROJECT_VMS_IMAGE: JSON.stringify({ image, uri: "test:///default", pool: "base" }),
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const closed = new Promise((resolve) => shell.once("close", resolve));
  /** As it cancels one: it kills the shell, and waits until nobody has its pipes any more. */
  const cancel = () => {
    shell.kill("SIGKILL");
    return closed;
  };
  return { shell: shell.pid as number, cancel };
}

/** The kinds of files in the cache of images. */
function kinds(): string[] {
  const images = path.join(dir, "project-vms/images");
  return existsSync(images)
    ? readdirSync(images)
        .map((name) => /\.lock$|\.partial$|\.work-/.exec(name)?.[0] ?? name)
        .sort()
    : [];
}

describe("a base image whose step is cancelled: its shell is killed, and the program ends with nothing left", () => {
  test("while it is fetched", async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/image.qcow2`;
    const { shell, cancel } = startStep({ kind: "url", url, sha512: "0".repeat(128) });
    await expect.poll(kinds, { timeout: 30_000 }).toEqual([".lock", ".partial"]);
    const [program] = childrenOf(shell);
    await cancel();
    expect(kinds()).toEqual([]);
    await expect.poll(() => doing(program as number)).toEqual([]);
  }, 60_000);

  test("while it is built, with all that the build has started, whatever signals that minds", async () => {
    const bin = path.join(dir, "bin");
    mkdirSync(bin);
    const words = `600.${process.pid}`;
    const mmdebstrap = `#!/bin/sh\ntrap '' TERM INT HUP\nmkdir -p "$WORK/tree"\nsetsid sleep ${words} &\nwait\n`;
    writeFileSync(path.join(bin, "mmdebstrap"), mmdebstrap, { mode: 0o755 });
    const sleeping = () => processes((pid) => textOf(`/proc/${pid}/cmdline`) === `sleep\0${words}\0`);
    const { cancel } = startStep({ kind: "build" }, { PATH: `${bin}:${process.env.PATH}` });
    await expect.poll(sleeping, { timeout: 30_000 }).toHaveLength(1);
    expect(kinds()).toEqual([".lock", ".work-"]);
    await cancel();
    expect(kinds()).toEqual([]);
    await expect.poll(sleeping).toEqual([]);
  }, 60_000);
});
