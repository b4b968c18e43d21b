import type { Contents } from "@jupyterlab/services";
import { describe, expect, it } from "vitest";
import { nameOf, pathOf, Queries, Taken } from "./queries";

/** Files as Jupyter's contents have them. */
class Files {
  readonly texts = new Map<string, { content: string; at: number }>();
  folder = false;
  private now = 0;

  private missing(): never {
    throw Object.assign(new Error("Not Found"), { response: { status: 404 } });
  }

  async get(path: string): Promise<Contents.IModel> {
    if (path === "queries") {
      if (!this.folder) return this.missing();
      const content = [...this.texts].map(([name, { at }]) => ({ name: name.split("/")[1], type: "file", last_modified: String(at) }));
      return { content: [...content, { name: "sub", type: "directory" }] } as Contents.IModel;
    }
    const found = this.texts.get(path) ?? this.missing();
    return { content: found.content, last_modified: String(found.at) } as Contents.IModel;
  }

  async save(path: string, options?: Partial<Contents.IModel>): Promise<Contents.IModel> {
    if (options?.type === "directory") this.folder = true;
    else if (!this.folder) return this.missing();
    else this.texts.set(path, { content: String(options?.content), at: (this.now += 1) });
    return { last_modified: String(this.now) } as Contents.IModel;
  }

  async rename(path: string, to: string): Promise<Contents.IModel> {
    const found = this.texts.get(path) ?? this.missing();
    this.texts.delete(path);
    this.texts.set(to, found);
    return {} as Contents.IModel;
  }

  async delete(path: string): Promise<void> {
    if (!this.texts.delete(path)) this.missing();
  }
}

describe("saved queries", () => {
  it("are files of a folder that the first one makes", async () => {
    const files = new Files();
    const queries = new Queries(files);
    expect(await queries.list()).toEqual([]);
    const modified = await queries.save(pathOf("trips"), "SELECT 1", undefined);
    await queries.save(pathOf("a ü"), "SELECT 2", undefined);
    expect((await queries.list()).map((query) => [query.name, query.path])).toEqual([
      ["a ü", "queries/a ü.sql"],
      ["trips", "queries/trips.sql"],
    ]);
    expect(await queries.read("queries/trips.sql")).toEqual({ text: "SELECT 1", modified });
  });

  it("are never replaced unseen", async () => {
    const queries = new Queries(new Files());
    const path = pathOf("trips");
    const first = await queries.save(path, "one", undefined);
    const second = await queries.save(path, "two", first);
    await expect(queries.save(path, "three", first)).rejects.toThrow(Taken);
    await expect(queries.save(path, "three", undefined)).rejects.toThrow(Taken);
    expect((await queries.read(path)).modified).toBe(second);
    await queries.save(path, "three", undefined, true);
    expect((await queries.read(path)).text).toBe("three");
  });

  it("are renamed and deleted", async () => {
    const queries = new Queries(new Files());
    await queries.save(pathOf("one"), "1", undefined);
    await queries.save(pathOf("two"), "2", undefined);
    await expect(queries.rename("queries/one.sql", "two")).rejects.toThrow(Taken);
    expect(await queries.rename("queries/one.sql", "one.sql")).toBe("queries/one.sql");
    expect(await queries.rename("queries/one.sql", "three")).toBe("queries/three.sql");
    await queries.remove("queries/two.sql");
    await queries.remove("queries/two.sql");
    expect((await queries.list()).map((query) => query.name)).toEqual(["three"]);
  });

  it("have names that are files' names", () => {
    expect(nameOf(pathOf(" weekly.sql "))).toBe("weekly");
    for (const name of ["", " ", ".hidden", "a/b", "..", "a\\b", "x".repeat(101)]) expect(() => pathOf(name)).toThrow();
  });
});
