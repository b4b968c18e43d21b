import { describe, expect, it, vi } from "vitest";

// Of JupyterLab's packages nothing is needed here, and they want a browser.
vi.mock("@jupyterlab/apputils", () => ({ Notification: {} }));
vi.mock("@jupyterlab/coreutils", () => ({ PageConfig: {} }));
vi.mock("@jupyterlab/notebook", () => ({ NotebookActions: {} }));
import { putIn, type Typed } from "./firstPage";

class Notebook {
  readonly cells: { id: string; text: string; getSource(): string; updateSource(start: number, end: number, value?: string): void }[] = [];

  constructor(...texts: string[]) {
    texts.forEach((text, at) => this.add(at, `c${at}`, text));
  }

  get texts(): string[] {
    return this.cells.map((cell) => cell.text);
  }

  transact(change: () => void): void {
    change();
  }

  insertCell(index: number, cell: { source: string }): void {
    this.add(index, `new${this.cells.length}`, cell.source);
  }

  private add(index: number, id: string, text: string): void {
    const cell = {
      id,
      text,
      getSource: () => cell.text,
      updateSource: (start: number, end: number, value = "") => {
        cell.text = cell.text.slice(0, start) + value + cell.text.slice(end);
      },
    };
    this.cells.splice(index, 0, cell);
  }
}

const typed = (id: string, index: number, base: string, text: string): Typed => ({ id, kind: "code", index, base, text });

describe("what was typed before JupyterLab stood", () => {
  it("goes into its cells, wherever they are now", () => {
    const notebook = new Notebook("new on top", "a = 1", "b = 2");
    expect(putIn(notebook, [typed("c1", 0, "a = 1", "a = 11"), typed("c2", 1, "b = 2", "b = 2  # b")])).toBe(0);
    expect(notebook.texts).toEqual(["new on top", "a = 11", "b = 2  # b"]);
  });

  it("stands in a new cell below one that another has changed in the same place", () => {
    const notebook = new Notebook("a = 3", "b");
    expect(putIn(notebook, [typed("c0", 0, "a = 1", "a = 2")])).toBe(1);
    expect(notebook.texts).toEqual(["a = 3", "a = 2", "b"]);
  });

  it("stands in a new cell where its own is gone", () => {
    const notebook = new Notebook("a");
    expect(putIn(notebook, [typed("gone", 7, "b", "b and mine")])).toBe(1);
    expect(notebook.texts).toEqual(["a", "b and mine"]);
  });

  it("stays in order, if only a part of it has its cell", () => {
    const notebook = new Notebook("theirs", "z");
    expect(putIn(notebook, [typed("c0", 0, "a", "mine"), typed("gone", 1, "b", "b and mine")])).toBe(2);
    expect(notebook.texts).toEqual(["theirs", "mine", "b and mine", "z"]);
  });

  it("is not put in twice", () => {
    const notebook = new Notebook("a = 2");
    expect(putIn(notebook, [typed("c0", 0, "a = 1", "a = 2")])).toBe(0);
    expect(notebook.texts).toEqual(["a = 2"]);
  });
});
