import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { type TailnetJoin, tailnetVariable } from "../../../../src/guest/tailnet-join.ts";
import { apiOfCommand } from "../../../../src/tailnet/command.ts";
import { takeJoinKey } from "../../../../src/tailnet/join-key.ts";

/*
 * Stands for the `ready` command of a VM whose guest has asked for a key: takes it as that does, and tells by a digest which one it
 * is, and who could read it meanwhile among the arguments of all processes.
 */
const { key: wanted } = JSON.parse(process.env[tailnetVariable] ?? "") as TailnetJoin;
const { key } = await takeJoinKey(wanted, () => apiOfCommand(process.env));
const inArguments = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(key));
console.log(JSON.stringify({ digest: createHash("sha256").update(key).digest("hex"), inArguments }));

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return ""; // it ended in between
  }
}
