import path from "node:path";
import { afterAll } from "vitest";
import { makeHome, removeHome, requireRoomForSockets, userVariablesIn } from "./home.ts";
import { homesFolder } from "./places.ts";

/*
 * Runs in the process of each test file, before it and all that it imports: from here on this process and whatever it starts have
 * a home of their own.
 */
// As most users have it: some tests have programs run as other users, and tests of another one set that themselves.
process.umask(0o022);
const home = makeHome(homesFolder(), path.resolve(import.meta.dirname, "../.."));
requireRoomForSockets(home);
for (const name of userVariablesIn(process.env)) delete process.env[name];
Object.assign(process.env, home.environment);

// The hooks of a setup file run last.
afterAll(() => removeHome(home));
