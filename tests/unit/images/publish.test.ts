import { expect, test } from "vitest";
import type { Virsh } from "../../../host/virsh.ts";
import { stateOf } from "../../../images/publish.ts";
import { isNewerThanMarker } from "../../../images/usage.ts";
import { baseImage, named } from "./samples.ts";

const name = named("a");

/** A host with the image and its marker, of these times. */
function aHost(times: Record<string, number | undefined>): Virsh {
  const run = async (verb = "", volume = "") => {
    if (verb === "vol-list")
      return Object.keys(times)
        .map((one) => ` ${one}   /vms/base/${one}`)
        .join("\n");
    const time = times[volume];
    const timestamps = time === undefined ? "" : `<timestamps><mtime>${time}</mtime></timestamps>`;
    return `<volume><name>${volume}</name><target><path>/vms/base/${volume}</path>${timestamps}</target></volume>`;
  };
  return { uri: "fake:///", run, runPrivately: run };
}

test.each([
  [100.2, 100.1, "altered"],
  [100.1, 100.1, "whole"],
  [100, 200, "whole"],
  [undefined, 200, "whole"],
  [100, undefined, "whole"],
  [undefined, undefined, "whole"],
])("an image of %s with a marker of %s is %s to who publishes and to who looks", async (image, marker, state) => {
  const host = aHost({ [name]: image, [`${name}.sha512`]: marker });
  const seen = baseImage(name, {
    ...(image ? { modified: image } : {}),
    marker: { path: "", ...(marker ? { modified: marker } : {}) },
  });
  expect([await stateOf(host, { name }, "base"), isNewerThanMarker(seen)]).toEqual([state, state === "altered"]);
});
