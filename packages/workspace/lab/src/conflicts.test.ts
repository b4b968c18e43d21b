import type { DocumentRegistry } from "@jupyterlab/docregistry";
import { describe, expect, it, vi } from "vitest";
import { neverInConflict } from "./conflicts";

const found = { hash: "new", hash_algorithm: "sha256" };

function opened(collaborative: boolean) {
  const ask = vi.fn(async () => "asked");
  const context = { path: "a.ipynb", model: { collaborative }, _contentProviderId: "rtc", _raiseConflict: ask };
  const contents = { save: vi.fn(async () => ({ path: "a.ipynb", hash: "old" })) };
  const follow = () => neverInConflict(context as unknown as DocumentRegistry.Context, contents as never);
  follow();
  follow();
  return { ask, context: context as unknown as { _raiseConflict: (...said: unknown[]) => Promise<unknown> }, contents };
}

describe("a save that finds a newer file", () => {
  it("goes to the server, where the server owns the document", async () => {
    const { ask, context, contents } = opened(true);
    const saved = await context._raiseConflict(found, { type: "notebook" });
    expect(saved).toEqual({ path: "a.ipynb", hash: "new", hash_algorithm: "sha256" });
    expect(contents.save).toHaveBeenCalledExactlyOnceWith("a.ipynb", { type: "notebook", contentProviderId: "rtc" });
    expect(ask).not.toHaveBeenCalled();
  });

  it("is asked about, where this page owns it", async () => {
    const { ask, context, contents } = opened(false);
    expect(await context._raiseConflict(found, {})).toBe("asked");
    expect(contents.save).not.toHaveBeenCalled();
    expect(ask).toHaveBeenCalledOnce();
  });
});
