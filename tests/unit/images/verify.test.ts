import { expect, test } from "vitest";
import { requireWhole, type Verdict } from "../../../src/images/verify.ts";
import { messageOf } from "../config/samples.ts";
import { baseImage, named } from "./samples.ts";

const uri = "qemu+unix:///system?socket=/run/x";
const host = { uri, storageDir: "/vms" };
const [wanted, found] = ["a".repeat(128), "b".repeat(128)];
const image = baseImage(named("a"), { projects: ["api", "webapp"], others: ["/srv/x.qcow2"] });
const remove = `remove it: \`virsh -c '${uri}' vol-delete ${named("a")} --pool project-vms-base\``;
const verdict = (differs: Partial<Verdict>): Verdict => ({ image, found, wanted, isWhole: false, ...differs });

test("images that are what they should be are nobody's matter", () => {
  expect(() => requireWhole([verdict({ found: wanted, isWhole: true })], host)).not.toThrow();
});

test("an altered image is told with both digests, what stands on it, and what to do", () => {
  expect(messageOf(() => requireWhole([verdict({})], host))).toBe(
    [
      "Base images on the host are not what they should be.",
      `  - /vms/base/${image.name}: must have the SHA-512 ${wanted}, but has ${found}; on it: projects.api, projects.webapp, /srv/x.qcow2`,
      `    shut these VMs down, put the file back as it was, and verify it again; if nobody has it any more, ${remove}, and write another \`rebuild: <any text>\` into these projects' entries: new root disks, the project disks are kept`,
    ].join("\n"),
  );
});

test("one that nobody stands on can go", () => {
  const lonely = baseImage(named("a"), { marker: undefined });
  expect(messageOf(() => requireWhole([verdict({ image: lonely, wanted: "a".repeat(12) })], host))).toBe(
    [
      "Base images on the host are not what they should be.",
      `  - /vms/base/${image.name}: must have a SHA-512 that begins with aaaaaaaaaaaa, but has ${found} and is not marked as whole: its upload was cut off, or goes on; nothing stands on it`,
      `    ${remove}`,
    ].join("\n"),
  );
});
