import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execaSync } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";

const repository = path.resolve(import.meta.dirname, "../../..");
const dir = path.join(repository, "test-results", "library");

/** Somebody else's program: plain JavaScript, which knows nothing of TypeScript or of this repository's folders. */
const program = `
import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks.js";
import { ProjectVm, VmHost } from "project-vms";

// Pulumi's mock of the engine knows no resource hooks yet.
MockMonitor.prototype.registerResourceHook = (request, callback) => callback(null, {});

const commands = [];
pulumi.runtime.setMocks({
  newResource({ type, name, inputs }) {
    if (type === "command:local:Command") commands.push(inputs.create, inputs.delete);
    return { id: name, state: { ...inputs, stdout: '{"name":"i","path":"/vms/base/i"}' } };
  },
  call: () => ({}),
}, "mine", "dev");
const settings = { uri: "qemu:///system", storageDir: "/vms", network: { kind: "existing", name: "default" }, virtualization: "auto" };
const inventory = { ...settings, memory: 1, cpus: 1, virtualization: "kvm", hypervisorVersion: "", pools: [], networks: [], domains: [] };
const host = new VmHost("mine", { settings, inventory });
const vm = new ProjectVm("myapp", { host, sshKeys: [], memory: "2 GiB" });
vm.nodes.ready.urn.apply(() => console.log(JSON.stringify(commands)));
`;

beforeAll(() => {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(path.join(dir, "node_modules", "@pulumi"), { recursive: true });
  execaSync("npm", ["run", "build"], { cwd: repository });
  symlinkSync(repository, path.join(dir, "node_modules", "project-vms"));
  symlinkSync(path.join(repository, "node_modules/@pulumi/pulumi"), path.join(dir, "node_modules/@pulumi/pulumi"));
  writeFileSync(path.join(dir, "program.mjs"), program);
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("as a package, it has the steps too that states of an earlier version name", () => {
  const file = path.join(repository, "dist/vm/teardown-entry.js");
  const { stderr, exitCode } = execaSync("node", [file], { reject: false });
  expect(stderr).toContain("PROJECT_VMS_TEARDOWN is not set: this program is run by a command resource");
  expect(exitCode).toBe(1);
});

test("as a package, the components work in somebody else's program, and run their own compiled commands", () => {
  const { stdout } = execaSync("node", ["program.mjs"], { cwd: dir });
  const [notice, commands = ""] = stdout.split("\n");
  expect(notice).toContain("myapp: new VM, new project disk of 50 GiB");
  const entries = (JSON.parse(commands) as (string | null)[]).filter((command) => command?.includes("node "));
  expect(entries).toEqual([
    "PROJECT_VMS_SHELL=$$ node '../../dist/src/steps/publish-base-image.js'; exit $?",
    "exec node '../../dist/src/steps/tear-down-vm.js'",
    "exec node '../../dist/src/steps/wait-until-ready.js'",
  ]);
});
