import {
  isGuestAddress,
  isHostKey,
  isNodeId,
  isNodeKey,
  isTailnetAddress,
  isTailnetName,
  type TailnetName,
} from "../core/guest-values.ts";
import { namePattern } from "../core/names.ts";
import type { Readiness } from "./ready.ts";
import type { SshTarget } from "./ssh-target.ts";

/*
 * What was noted down of a guest's answers, read back: in a stack's state, and in the files that SSH's were made from. Older
 * versions noted what a guest had said as it was, and files can be edited by hand. What does not hold is left out, as if it had
 * never been known: the guest is asked again where it is needed.
 */

type Fields = Record<string, unknown>;

/** The VMs that the files for SSH clients were last made from. */
export function storedTargets(text: string): SshTarget[] {
  return list(parsed(text)).flatMap((value) => {
    const { name, addresses, hostKeys, tailnetName } = fields(value);
    if (typeof name !== "string" || !new RegExp(namePattern).test(name)) return [];
    return [
      {
        name,
        addresses: list(addresses).filter(isGuestAddress),
        hostKeys: list(hostKeys).filter(isHostKey),
        tailnetName: nameIn(tailnetName, name),
      },
    ];
  });
}

/** What a VM's wait for readiness found, as it stands in the state; undefined for one that was not waited for. */
export function storedReadiness(text: string | undefined, project: string): Readiness | undefined {
  const value = text ? parsed(text) : undefined;
  if (!isMap(value)) return undefined;
  const { seconds, stages, addresses, hostKeys, tailnet } = fields(value);
  const { name, addresses: inTailnet, id, nodeKey } = fields(tailnet);
  const tailnetName = nameIn(name, project);
  const node =
    tailnetName && isNodeId(id) && isNodeKey(nodeKey)
      ? { name: tailnetName, addresses: list(inTailnet).filter(isTailnetAddress), id, nodeKey }
      : undefined;
  return {
    seconds: isTime(seconds) ? seconds : 0,
    stages: storedStages(stages),
    addresses: list(addresses).filter(isGuestAddress),
    hostKeys: list(hostKeys).filter(isHostKey),
    ...(node ? { tailnet: node } : {}),
  };
}

/** What a stack's output says of a VM that came from its guest, or is shown beside it; all else stays as it is. */
export function storedOutput<Output>(value: Output, project: string) {
  const { addresses, hostKeys, tailnetName, tailnetAddresses, secondsToReady, stages } = fields(value);
  return {
    ...value,
    addresses: list(addresses).filter(isGuestAddress),
    hostKeys: list(hostKeys).filter(isHostKey),
    tailnetName: nameIn(tailnetName, project),
    tailnetAddresses: tailnetAddresses === undefined ? undefined : list(tailnetAddresses).filter(isTailnetAddress),
    secondsToReady: isTime(secondsToReady) ? secondsToReady : undefined,
    stages: stages === undefined ? undefined : storedStages(stages),
  };
}

/** The same of all VMs of a stack, by their names; none where the output is something else, such as a secret. */
export function storedOutputs<Output>(projects: Record<string, Output> | undefined) {
  const all = isMap(projects) ? projects : {};
  return Object.fromEntries(
    Object.entries(all).map(([name, output]) => [name, isMap(output) ? storedOutput(output, name) : output]),
  );
}

/** Seconds by the names of stages. */
function storedStages(value: unknown): Readiness["stages"] {
  return Object.fromEntries(Object.entries(fields(value)).filter(([, seconds]) => isTime(seconds)));
}

const nameIn = (value: unknown, project: string): TailnetName | undefined =>
  isTailnetName(value, project) ? value : undefined;

const isTime = (value: unknown): value is number => typeof value === "number" && value >= 0 && value < 1e9;
const isMap = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);
const fields = (value: unknown): Fields => (isMap(value) ? value : {});
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value.slice(0, 64) : []);

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
