/** Saved queries: files of SQL in a folder of the Workspace, and so backed up, versioned and shared as all its files. */
import type { Contents } from "@jupyterlab/services";

export const FOLDER = "queries";
const ENDING = ".sql";
const LONGEST = 100;

/** A saved query, without its text. */
export interface Saved {
  name: string;
  path: string;
  modified: string;
}

/** There is one of that name, or it became another since it was opened. */
export class Taken extends Error {}

type Files = Pick<Contents.IManager, "get" | "save" | "rename" | "delete">;

export function nameOf(path: string): string {
  return (path.split("/").pop() ?? path).replace(/\.sql$/, "");
}

/** Where a query of that name is kept.
 *
 * Throws an Error that says what is wrong with the name.
 */
export function pathOf(name: string): string {
  const text = name.trim().replace(/\.sql$/, "");
  if (!text) throw new Error("A saved query needs a name.");
  if (text.startsWith(".") || /[/\\\u0000-\u001f]/.test(text)) throw new Error("A name neither begins with a dot nor has slashes in it.");
  if (text.length > LONGEST) throw new Error(`A name has at most ${LONGEST} characters.`);
  return `${FOLDER}/${text}${ENDING}`;
}

function isMissing(error: unknown): boolean {
  return (error as { response?: Response } | null)?.response?.status === 404;
}

async function orNothing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export class Queries {
  constructor(private readonly files: Files) {}

  /** By name; none where there is no folder yet. */
  async list(): Promise<Saved[]> {
    const folder = await orNothing(this.files.get(FOLDER));
    const found = ((folder?.content ?? []) as Contents.IModel[]).filter((file) => file.type === "file" && file.name.endsWith(ENDING));
    const saved = found.map((file) => ({ name: nameOf(file.name), path: `${FOLDER}/${file.name}`, modified: file.last_modified }));
    return saved.sort((one, other) => one.name.localeCompare(other.name));
  }

  /** Its text, and the moment of its last change. */
  async read(path: string): Promise<{ text: string; modified: string }> {
    const file = await this.files.get(path, { type: "file", format: "text" });
    return { text: String(file.content), modified: file.last_modified };
  }

  /** Save under a path; `known` is when the caller's copy was last changed, undefined for a new one.
   *
   * Throws Taken unless `replace`, where the file there is not the caller's.
   */
  async save(path: string, text: string, known: string | undefined, replace = false): Promise<string> {
    const there = await orNothing(this.files.get(path, { content: false }));
    if (there && !replace && there.last_modified !== known) throw new Taken(`There is another query “${nameOf(path)}”.`);
    if (!there) await this.makeFolder();
    return (await this.files.save(path, { type: "file", format: "text", content: text })).last_modified;
  }

  /** Its new path. Throws Taken where another has the name. */
  async rename(path: string, name: string): Promise<string> {
    const to = pathOf(name);
    if (to === path) return path;
    if (await orNothing(this.files.get(to, { content: false }))) throw new Taken(`There is another query “${nameOf(to)}”.`);
    await this.files.rename(path, to);
    return to;
  }

  async remove(path: string): Promise<void> {
    await orNothing(this.files.delete(path));
  }

  private async makeFolder(): Promise<void> {
    if (!(await orNothing(this.files.get(FOLDER, { content: false })))) await this.files.save(FOLDER, { type: "directory" });
  }
}
