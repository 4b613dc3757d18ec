import { XMLBuilder } from "fast-xml-parser";
import { UserError } from "../core/errors.ts";
import { namePrefix } from "../core/names.ts";
import {
  type DomainMarks,
  dataNamespace,
  parseDomain,
  startNamespace,
  tailnetNamespace,
  yesOrNo,
} from "./libvirt-xml.ts";
import { transientIssue } from "./transient.ts";
import type { Virsh } from "./virsh.ts";
import { VirshError } from "./virsh-error.ts";

/** What a domain notes about itself, at this moment. */
export async function marksOf(virsh: Virsh, domain: string): Promise<DomainMarks> {
  return parseDomain(await virsh.run("dumpxml", domain)).marks;
}

/** Notes whether a domain's project disk stays when the project goes. */
export function markKeepData(virsh: Virsh, domain: string, keepData: boolean): Promise<void> {
  return mark(virsh, domain, dataNamespace, "data", { keep: yesOrNo(keepData) });
}

/**
 * Notes that a domain is to run: set before a guest is shut down to come up again, taken back when it is ready. So one that an
 * interrupted update left off is told from one that its user shut off.
 */
export function markStarting(virsh: Virsh, domain: string, starting: boolean): Promise<void> {
  return mark(virsh, domain, startNamespace, "start", { pending: yesOrNo(starting) });
}

/** Notes which device of its tailnet a VM is; undefined: none that it could go on as. */
export function markTailnet(virsh: Virsh, domain: string, tailnet: DomainMarks["tailnet"]): Promise<void> {
  const attributes = { id: tailnet?.id ?? "", node: tailnet?.nodeKey ?? "" };
  return mark(virsh, domain, tailnetNamespace, "tailnet", attributes);
}

const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: "", suppressEmptyNode: true });

/** In the definition and, where the VM runs, in what is shown of it while it does. */
async function mark(
  virsh: Virsh,
  domain: string,
  namespace: string,
  key: string,
  attributes: Record<string, string>,
): Promise<void> {
  const runs = (await virsh.run("domstate", domain)).trim() !== "shut off";
  const places = ["--config", ...(runs ? ["--live"] : [])];
  const element = builder.build({ [key]: attributes });
  await virsh.run("metadata", domain, "--uri", namespace, "--key", key, "--set", element, ...places).catch((error) => {
    throw isTransient(error)
      ? new UserError("Nothing was changed.", [transientIssue({ project: projectOf(domain) })])
      : error;
  });
}

/** libvirt's words for a domain that runs and is not defined. */
const isTransient = (error: unknown) => error instanceof VirshError && /transient domain/.test(error.reason);

const projectOf = (domain: string) => domain.slice(namePrefix.length);
