import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

/** Hands XML to a virsh command that reads it from a file; the file is gone afterwards. */
export async function withXmlFile<T>(xml: string, use: (file: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(path.join(tmpdir(), "virsh-xml-"));
  try {
    const file = path.join(dir, "in.xml");
    await writeFile(file, xml);
    return await use(file);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
