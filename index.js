import { load } from "./bin/bundle.js";

/** @type {typeof import("./components/stack-program.ts")} */
const { stackProgram } = await load("components/stack-program.ts");

/** The program of every stack of this project: what it makes is said in `Pulumi.<stack>.yaml`. */
export default () => stackProgram();
