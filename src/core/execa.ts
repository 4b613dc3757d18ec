import { execa as anyExeca, execaSync as anyExecaSync } from "execa";

/** By NODE_DEBUG=execa it would print what each program prints: a decrypted config too. */
const silent = { verbose: "none" } as const;

/** execa as all our programs use it: what the programs that they start print, and may be a secret, is printed by nothing but them. */
export const execa = anyExeca(silent);

/** The same, waiting. */
export const execaSync = anyExecaSync(silent);
