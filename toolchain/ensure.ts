export { ensureToolchain, type Toolchain, toolchainEnvironment } from "./ensure/toolchain.ts";
