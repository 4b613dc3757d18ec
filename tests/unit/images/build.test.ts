import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { buildImage } from "../../../src/images/build.ts";
import { debianTesting } from "../../../src/images/recipe.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "build-"));
  mkdirSync(path.join(dir, "bin"));
  // The build script's first program: it tells its folder, and fails.
  writeFileSync(path.join(dir, "bin/setpriv"), '#!/bin/sh\necho "in $WORK"; exit 1\n', { mode: 0o755 });
  vi.stubEnv("PATH", `${dir}/bin:${process.env.PATH}`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

const hasGrub = ["i386-pc/boot.img", "x86_64-efi/moddep.lst"].every((file) => existsSync(`/usr/lib/grub/${file}`));

test.runIf(hasGrub)(
  "each build has a folder of its own, and takes away what one that was killed has left",
  async () => {
    const output = path.join(dir, "image.qcow2");
    mkdirSync(`${output}.work-killed/tree`, { recursive: true });
    const folders: string[] = [];
    for (let n = 0; n < 2; n++) {
      const failure = await buildImage(debianTesting, output, () => undefined).catch((error: Error) => error.message);
      folders.push(/in (.*)/.exec(failure ?? "")?.[1] ?? "");
      expect(readdirSync(dir)).toEqual(["bin"]);
    }
    expect(folders[0]).toMatch(/image\.qcow2\.work-\w{6}$/);
    expect(folders[1]).not.toBe(folders[0]);
  },
);
