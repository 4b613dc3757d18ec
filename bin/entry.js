// Runs one of the programs that are steps of an update: node bin/entry.js <source> [argument...]
import { load } from "./bundle.js";

const [entry] = process.argv.splice(2, 1);
await load(entry);
