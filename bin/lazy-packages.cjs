/*
 * Pulumi's SDK loads the TypeScript compiler and npm's resolver at its start, for programs that serialize functions; ours do not.
 * They are half of its loading: 1.0 of the 1.9 seconds of CPU that a program here takes until its first line. With this they are
 * loaded when something of them is used. Pulumi.yaml has Node load it before the program, bundle.js before the command line.
 */
const Module = require("node:module");

const lazy = new Set(["typescript", "@npmcli/arborist"]);
const load = Module._load;

Module._load = function (request, parent, isMain) {
  if (!lazy.has(request)) return load.call(this, request, parent, isMain);
  let loaded;
  return whenUsed(() => {
    loaded ??= load.call(Module, request, parent, isMain);
    return loaded;
  });
};

/** What a package exports, asked for at the first use of it. */
function whenUsed(exported) {
  return new Proxy(
    {},
    {
      get: (_, name) => {
        // A compiled import of a whole package copies all that it has, unless it is an ES module.
        if (name === "__esModule") return true;
        return name === "default" ? (exported().default ?? exported()) : exported()[name];
      },
    },
  );
}
