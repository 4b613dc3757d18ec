// Runs one of the programs that are steps of an update: node bin/entry.js <source> [argument...]
import { load } from "./bundle.js";
import { formerSteps } from "./former-steps.js";

const [entry] = process.argv.splice(2, 1);
await load(formerSteps[entry] ?? entry);
