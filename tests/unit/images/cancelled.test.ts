import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
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

const parentOf = (pid: number) => Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
const childOf = (shell: number) =>
  readdirSync("/proc")
    .map(Number)
    .find((pid) => pid > 0 && existsSync(`/proc/${pid}`) && parentOf(pid) === shell);

function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("a base image whose step is cancelled: its shell is killed, and the program ends with nothing left", async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/image.qcow2`;
  const image = { kind: "url", url, sha512: "0".repeat(128) };
  const shell = spawn("/bin/sh", ["-c", tidyingCommand(pathToFileURL(path.resolve("images/main.ts")))], {
    env: {
      ...process.env,
      XDG_CACHE_HOME: dir,
      PROJECT_VMS_IMAGE: JSON.stringify({ image, uri: "test:///default", pool: "base" }),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const images = path.join(dir, "project-vms/images");
  const names = () =>
    existsSync(images)
      ? readdirSync(images)
          .map((name) => path.extname(name))
          .sort()
      : [];
  await vi.waitFor(() => expect(names()).toEqual([".lock", ".partial"]), 30_000);
  const program = childOf(shell.pid as number);
  const closed = new Promise((resolve) => shell.once("close", resolve));
  shell.kill("SIGKILL");
  await closed;
  expect(names()).toEqual([]);
  await vi.waitFor(() => expect(isAlive(program as number)).toBe(false));
}, 60_000);
