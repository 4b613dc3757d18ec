import type * as libvirt from "@pulumi/libvirt";
import { expect, test } from "vitest";
import { dirPool } from "../../../components/dir-pool.ts";
import { aPool } from "../found.ts";
import { applyXslt } from "./apply-xslt.ts";

const provider = {} as libvirt.Provider;
const pool = (...pools: ReturnType<typeof aPool>[]) => dirPool("project-webapp", "/vms/webapp", { pools }, provider);
const args = { name: "project-webapp", type: "dir", target: { path: "/vms/webapp" } };

test("a pool that the host has is adopted, and no stylesheet of before is looked at", () => {
  expect(pool(aPool({ uuid: "u" }))).toEqual({
    args,
    opts: { provider, retainOnDelete: true, import: "u", ignoreChanges: ["xml"] },
  });
});

test("one that the host has not is defined as it is asked for, also where the state has it, each time again", () => {
  const [first, second] = [pool(), pool()];
  const { xml, ...rest } = first.args;
  const xslt = (xml as { xslt: string }).xslt;
  expect(rest).toEqual(args);
  expect(first.opts).toEqual({ provider, retainOnDelete: true, deleteBeforeReplace: false });
  expect(second.args.xml).not.toEqual(xml);
  const asked = '<pool type="dir"><name>project-webapp</name><target><path>/vms/webapp</path></target></pool>';
  expect(applyXslt(xslt, asked)).toContain(asked);
});
