import { stackProgram } from "./components/stack-program.ts";

/** The program of every stack of this project: what it makes is said in `Pulumi.<stack>.yaml`. */
export default () => stackProgram();
