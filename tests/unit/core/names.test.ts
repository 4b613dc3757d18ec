import { describe, expect, it } from "vitest";

import { invalidNames } from "../../../src/config/name-rules.ts";
import * as names from "../../../src/core/names.ts";

describe("names on the host", () => {
  it("derive from the project's name alone", () => {
    expect(names.poolName("myapp")).toBe("project-myapp");
    expect(names.domainName("myapp")).toBe("project-myapp");
    expect(names.hostName("myapp")).toBe("project-myapp");
    expect(names.ownerMark("local")).toBe("project-vms stack local");
    expect(names.networkDomain("local")).toBe("local.project-vms.internal");
  });

  // A changed identity is a changed VM: these values must stay for ever.
  it("give the same identity for ever", () => {
    expect(names.macAddress("myapp")).toBe("52:54:00:c1:b7:02");
    expect(names.macAddress("webapp")).toBe("52:54:00:2c:66:f3");
    expect(names.diskSerial("myapp", "project")).toBe("project-c1b70247946b");
    expect(names.diskSerial("myapp", "root")).toBe("root-c1b70247946b");
  });

  it("fit where they must", () => {
    const longest = "a".repeat(names.longestName);
    expect(names.hostName(longest)).toHaveLength(63);
    expect(names.diskSerial(longest, "project")).toHaveLength(20);
    expect(names.macAddress(longest)).toMatch(/^52:54:00(:[0-9a-f]{2}){3}$/);
  });
});

describe("invalidNames", () => {
  const label = "is not a DNS label: only a-z, 0-9 and `-`, no `-` at either end";
  const taken = "is taken: base images or backups are kept under that name: choose another name";
  it.each([
    [["my_app"], { my_app: `${label}: write \`my-app\`` }],
    [["-app-"], { "-app-": `${label}: write \`app\`` }],
    [["MyApp"], { MyApp: `${label}: write \`myapp\`` }],
    [["Ünï"], { Ünï: `${label}: write \`uni\`` }],
    [["__proto__"], { ["__proto__"]: `${label}: write \`proto\`` }],
    [
      ["..", ""],
      { "..": `${label}: choose another name, e.g. \`myapp\``, "": `${label}: choose another name, e.g. \`myapp\`` },
    ],
    [["base"], { base: taken }],
    [["vms-base"], { "vms-base": taken }],
    [
      ["a".repeat(56)],
      {
        ["a".repeat(56)]:
          "is 56 characters long, at most 55 fit: domain and host name `project-<name>` have a limit of 63: choose a shorter name",
      },
    ],
    [
      ["MyApp", "myapp"],
      {
        MyApp:
          "differs from `myapp` only in upper and lower case: both would have the host name `project-myapp`: give one of them another name",
      },
    ],
    [
      ["MyApp", "MYAPP"],
      {
        MyApp: `${label}: write \`myapp\``,
        MYAPP:
          "differs from `MyApp` only in upper and lower case: both would have the host name `project-myapp`: give one of them another name",
      },
    ],
  ])("%j", (list, expected) => {
    const found = [...invalidNames(list)].map(([name, error]) => [name, error.message]);
    expect(found).toEqual(Object.entries(expected));
  });

  it("takes every DNS label", () => {
    expect(invalidNames(["a", "9", "my-app", "a--b", "constructor", "a".repeat(55)])).toEqual(new Map());
  });

  it("refuses two names that by chance have one MAC address", () => {
    const [one, other] = twins();
    const found = [...invalidNames([one, other])].map(([name, error]) => [name, error.message]);
    const message = `has by chance the MAC address of \`${one}\` (${names.macAddress(one)}): choose another name`;
    expect(found).toEqual([[other, message]]);
  });
});

/** Two names with the same MAC address: among some thousands there are always two. */
function twins(): [string, string] {
  const seen = new Map<string, string>();
  for (let number = 0; ; number++) {
    const name = `p${number}`;
    const twin = seen.get(names.macAddress(name));
    if (twin !== undefined) return [twin, name];
    seen.set(names.macAddress(name), name);
  }
}
