import { describe, expect, test } from "vitest";
import YAML from "yaml";
import { metaData } from "../../../src/cloud-init/meta-data.ts";
import { type GuestSettings, userData } from "../../../src/cloud-init/user-data.ts";

const settings: GuestSettings = {
  name: "app",
  hostname: "project-app",
  sshKeys: ["ssh-ed25519 AAAA me: # not a comment"],
  diskSerial: "project-0123456789ab",
  imageKind: "build",
};

const parsed = (changes: Partial<GuestSettings> = {}) => YAML.parse(userData({ ...settings, ...changes }));

describe("userData", () => {
  test("is what cloud-init takes for its config", () => {
    expect(userData(settings)).toMatch(/^#cloud-config\n/);
  });

  test("lets dev in by key alone, as sudoer, with Docker and Nix", () => {
    expect(parsed().ssh_pwauth).toBe(false);
    expect(parsed().users).toEqual([
      {
        name: "dev",
        shell: "/bin/bash",
        lock_passwd: true,
        sudo: "ALL=(ALL) NOPASSWD:ALL",
        groups: ["docker", "nix-users", "sudo"],
        ssh_authorized_keys: settings.sshKeys,
      },
    ]);
  });

  test("makes no host keys of its own: they are on the project disk", () => {
    expect(parsed().cloud_init_modules).not.toContain("ssh");
  });

  test("tells the guest its project disk, and brings the programs that prepare it", () => {
    const files = new Map<string, { content: string; permissions: string }>(
      parsed().write_files.map((file: { path: string }) => [file.path, file]),
    );
    expect(files.get("/etc/project-vm/settings")?.content).toBe("DISK_SERIAL=project-0123456789ab\n");
    for (const script of ["disk", "identity", "check", "first-boot"]) {
      expect(files.get(`/usr/local/lib/project-vm/${script}`)).toMatchObject({
        permissions: "0755",
        content: expect.stringMatching(/^#!\/bin\/sh\n/),
      });
    }
  });

  test("installs nothing in a built image, and what is missing in a published one", () => {
    expect(parsed()).not.toHaveProperty("packages");
    const published = parsed({ imageKind: "url" });
    expect(published.packages).toEqual(
      expect.arrayContaining(["docker.io", "nix-bin", "npm", "qemu-guest-agent", "jq"]),
    );
    expect(published.runcmd).toEqual([["/usr/local/lib/project-vm/install"]]);
    const written = published.write_files.map(({ path }: { path: string }) => path);
    expect(written).toEqual(expect.arrayContaining(["/usr/local/lib/claude-code/package-lock.json"]));
  });
});

describe("metaData", () => {
  test("names the host, and is another instance when the user-data is another", () => {
    const meta = YAML.parse(metaData(settings));
    expect(meta).toEqual({
      "instance-id": expect.stringMatching(/^app-[0-9a-f]{12}$/),
      "local-hostname": "project-app",
    });
    expect(YAML.parse(metaData({ ...settings, sshKeys: ["ssh-ed25519 BBBB"] }))["instance-id"]).not.toBe(
      meta["instance-id"],
    );
  });
});
