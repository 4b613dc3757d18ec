import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { sshFilePaths, writeSshFiles } from "../../../src/checkout/ssh-files.ts";
import { aHostKey, anAddress } from "../guest/samples.ts";

const dir = mkdtempSync(path.join(tmpdir(), "ssh-files-"));
const paths = sshFilePaths(dir, "storage");
afterAll(() => rmSync(dir, { recursive: true }));

const web = { name: "web", addresses: [anAddress("10.77.0.6")], hostKeys: [aHostKey()] };
const hosts = () => readFileSync(paths.config, "utf8").match(/^Host .*|HostName .*/gm);

test("a VM that is off keeps what was last known of it, one that is gone does not", () => {
  writeSshFiles(paths, [web, { ...web, name: "old" }], {});
  writeSshFiles(paths, [{ name: "web", addresses: [], hostKeys: [] }], {});
  expect(hosts()).toEqual(["Host project-web", "HostName 10.77.0.6"]);
  writeSshFiles(paths, [{ ...web, addresses: [anAddress("10.77.0.9")] }], {});
  expect(hosts()).toEqual(["Host project-web", "HostName 10.77.0.9"]);
});

test("what was noted down can be lost or damaged", () => {
  writeFileSync(paths.targets, "{");
  writeSshFiles(paths, [web], {});
  expect(hosts()).toEqual(["Host project-web", "HostName 10.77.0.6"]);
});
