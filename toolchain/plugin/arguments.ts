/**
 * Finds the engine's address among a plugin's arguments.
 *
 * The engine starts every plugin with flags of its own (`--tracing URL`, `-v=3`, `--logtostderr`, older ones `-root=…`)
 * and its address last. An argument that is no flag and no flag's value is the address.
 *
 * @param args the arguments after the program's name
 * @returns the address, or undefined where the plugin was started by hand
 * @example engineAddress(["--tracing", "http://localhost:9411", "127.0.0.1:40001"]) // "127.0.0.1:40001"
 */
export function engineAddress(args: readonly string[]): string | undefined {
  const flagsWithValue = new Set(["tracing", "root", "runtime", "v"]);
  let address: string | undefined;
  for (let index = 0; index < args.length; index++) {
    const argument = args[index] ?? "";
    if (!argument.startsWith("-")) {
      address = argument;
    } else if (!argument.includes("=") && flagsWithValue.has(argument.replace(/^-+/, ""))) {
      index++;
    }
  }
  return address;
}
