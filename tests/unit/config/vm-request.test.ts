import { describe, expect, it } from "vitest";

import { resolveVmSettings, type VmRequest } from "../../../src/config/parse.ts";
import { GiB } from "../../../src/core/sizes.ts";
import { messageOf } from "./samples.ts";

describe("resolveVmSettings", () => {
  it("fills in what is not asked for", () => {
    const sizes = { memory: 8 * GiB, disk: 50 * GiB, rootDisk: 20 * GiB };
    const settings = { ...sizes, cpus: 2, firmware: "bios", autostart: false, keepData: true };
    expect(resolveVmSettings("myapp", { cpus: 2 })).toEqual(settings);
  });

  it("looks at nothing but the VM's settings", () => {
    const args: VmRequest & { host: string } = { host: "storage" };
    expect(resolveVmSettings("myapp", args).cpus).toBe(4);
  });

  it("tells all mistakes of the name and the settings at once", () => {
    expect(messageOf(() => resolveVmSettings("MyApp", { memory: "0 GiB", cpus: 0.5 }))).toBe(`\
ProjectVm MyApp cannot be made.
  - ProjectVm MyApp: name: is not a DNS label: only a-z, 0-9 and \`-\`, no \`-\` at either end
    write \`myapp\`
  - ProjectVm MyApp: memory: must be more than zero, but is "0 GiB"
    write a size such as \`8 GiB\`
  - ProjectVm MyApp: cpus: must be a whole number, but is 0.5
    write a whole number without quotes, e.g. \`4\``);
  });

  it("takes settings that are complete as they are, and checks the name all the same", () => {
    const settings = resolveVmSettings("myapp", { memory: "1537 MiB", rootDisk: "21505 MiB" });
    expect(resolveVmSettings("other", { settings })).toBe(settings);
    expect(messageOf(() => resolveVmSettings("../etc", { settings }))).toContain("ProjectVm ../etc: name: ");
  });
});
