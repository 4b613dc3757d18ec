import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";

/** The one program in the image; Go links it statically, so that the image needs nothing else. */
const helloGo = 'package main\n\nfunc main() { println("hello from a container") }\n';

/**
 * A Docker image `project-vms/hello` as `docker save` would write it, made here, since guests have no network to pull
 * one from. Format: https://github.com/moby/docker-image-spec/blob/main/spec.md
 */
export async function dockerArchive(): Promise<Uint8Array> {
  const dir = mkdtempSync(path.join(tmpdir(), "docker-archive-"));
  try {
    writeFileSync(path.join(dir, "hello.go"), helloGo);
    mkdirSync(path.join(dir, "rootfs"));
    await execa("go", ["build", "-o", "rootfs/hello", "hello.go"], { cwd: dir, env: { CGO_ENABLED: "0" } });
    await execa("tar", ["--owner=0", "--group=0", "-cf", "layer.tar", "-C", "rootfs", "hello"], { cwd: dir });
    const diffId = `sha256:${createHash("sha256")
      .update(readFileSync(path.join(dir, "layer.tar")))
      .digest("hex")}`;
    const config = {
      architecture: "amd64",
      os: "linux",
      config: { Cmd: ["/hello"] },
      rootfs: { type: "layers", diff_ids: [diffId] },
    };
    writeFileSync(path.join(dir, "config.json"), JSON.stringify(config));
    const manifest = [{ Config: "config.json", RepoTags: ["project-vms/hello:latest"], Layers: ["layer.tar"] }];
    writeFileSync(path.join(dir, "manifest.json"), JSON.stringify(manifest));
    const { stdout } = await execa("tar", ["-cf", "-", "manifest.json", "config.json", "layer.tar"], {
      cwd: dir,
      encoding: "buffer",
    });
    return stdout;
  } finally {
    rmSync(dir, { recursive: true });
  }
}
