import {
  type GuestAddress,
  guestText,
  type HostKey,
  isGuestAddress,
  isHostKey,
  isNodeId,
  isNodeKey,
  isTailnetAddress,
  isTailnetName,
  type NodeId,
  type NodeKey,
  type TailnetAddress,
  type TailnetName,
} from "../../../src/core/guest-values.ts";

/** Values as a guest in order has them, by the very checks that all of them pass. */

function checked<T extends string>(value: string, isOne: (value: unknown) => value is T): T {
  if (!isOne(value)) throw new Error(`the sample ${value} is none`);
  return value;
}

export const anAddress = (text = "10.77.0.5"): GuestAddress => checked(text, isGuestAddress);
export const aTailnetAddress = (text = "100.64.0.7"): TailnetAddress => checked(text, isTailnetAddress);
export const aTailnetName = (text: string): TailnetName => {
  const project = /^project-([a-z0-9]+)/.exec(text)?.[1] ?? "";
  return checked(text, (value): value is TailnetName => isTailnetName(value, project));
};

/** A device of a tailnet; the number makes it another. */
export const aNode = (number: number | string): { id: NodeId; nodeKey: NodeKey } => ({
  id: checked(String(number), isNodeId),
  nodeKey: checked(`nodekey:${String(number).replace(/\D/g, "").padStart(64, "0")}`, isNodeKey),
});

const field = (content: string | Buffer) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, Buffer.from(content as string)]);
};

/** The text of a key of these fields, whether it is one or not. */
export const keyText = (type: string, ...fields: (string | Buffer)[]) =>
  `${type} ${Buffer.concat([type, ...fields].map(field)).toString("base64")}`;

export const aHostKey = (number = 1): HostKey => checked(keyText("ssh-ed25519", Buffer.alloc(32, number)), isHostKey);
export const anEcdsaKey = (): HostKey =>
  checked(keyText("ecdsa-sha2-nistp256", "nistp256", Buffer.alloc(65, 4)), isHostKey);

export { guestText };
