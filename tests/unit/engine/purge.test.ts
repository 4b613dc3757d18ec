import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { purgeUnclaimed } from "../../../src/engine/purge.ts";

let root: string;
let disk: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "engine-purge-"));
  disk = path.join(root, "vms/webapp/project.qcow2");
  mkdirSync(path.dirname(disk), { recursive: true });
  execaSync("qemu-img", ["create", "-q", "-f", "qcow2", disk, "1M"]);
  writeFileSync(path.join(root, "node.xml"), "<node/>");
  writeFileSync(path.join(root, "Pulumi.yaml"), "name: project-vms\n");
  write("{}");
});
afterEach(() => rmSync(root, { recursive: true }));

/** The file of a stack whose host cannot be told, and so may be any. */
const write = (projects: string) =>
  writeFileSync(
    path.join(root, "Pulumi.local.yaml"),
    `config:\n  project-vms:projects: ${projects}\n  project-vms:host: {}\n`,
  );

const purge = (confirm: (facts: string[]) => Promise<boolean>, backups = false) => {
  const host = { uri: `test://${root}/node.xml`, storageDir: path.join(root, "vms") };
  const options = { projects: [], backups, confirm };
  return purgeUnclaimed({ root, name: "local" }, host, "webapp", options, () => undefined);
};

describe.skipIf(!["virsh", "qemu-img"].every((name) => existsSync(`/usr/bin/${name}`)))("a purge", () => {
  const claimed =
    "Nothing was removed.\n  - Pulumi.local.yaml: projects.webapp: must not be there: the disk of a project is kept for it";

  test("of a disk that a config claims is refused before it is asked about", async () => {
    write("{ webapp: {} }");
    await expect(purge(() => Promise.reject(new Error("asked")))).rejects.toThrow(claimed);
  });

  test("is refused where an entry comes while the question is open", async () => {
    const confirm = async () => {
      write("{ webapp: {} }");
      return true;
    };
    await expect(purge(confirm)).rejects.toThrow(claimed);
    expect(existsSync(disk)).toBe(true);
  });

  test("leaves backups that cannot be listed where they are, and is refused where they are to go", async () => {
    const backups = path.join(root, "vms/backups/webapp");
    mkdirSync(path.dirname(backups));
    symlinkSync(backups, backups);
    await expect(purge(async () => true, true)).rejects.toThrow("list-backups.sh");
    expect(existsSync(disk)).toBe(true);
    const confirm = vi.fn(async (_facts: string[]) => true);
    await expect(purge(confirm)).resolves.toBe(true);
    expect(confirm.mock.lastCall?.[0]).toContain(`(backups in ${backups}: kept; it is not known which are there)`);
    expect(existsSync(disk)).toBe(false);
  });

  test("of a disk that none claims removes it", async () => {
    await expect(purge(async () => true)).resolves.toBe(true);
    expect(existsSync(disk)).toBe(false);
  });
});
