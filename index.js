import { load } from "./bin/bundle.js";

// Loads the program, index.ts, from its bundle: Node 20 strips no types. At the root, since the engine runs a program, and so what it
// starts, in the folder that the program is in.
/** @type {typeof import("./index.ts")} */
const { stackProgram } = await load("index.ts");

/** The program of every stack of this project: what it makes is said in `Pulumi.<stack>.yaml`. */
export default () => stackProgram();
