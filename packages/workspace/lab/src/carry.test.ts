import { describe, expect, it } from "vitest";
import { carriedPlace, carry, type Change, changeOf } from "./carry";

const done = (text: string, change: Change | undefined) =>
  change && text.slice(0, change.start) + change.text + text.slice(change.end);

const TEXTS = ["", "a", "aa", "aaa", "ab", "ba", "abc", "x = 1", "x = 1\n", "x = 12\ny", "print(x)\nprint(x)", "print(x)"];

describe("a change", () => {
  it("makes the one text of the other, whatever they are", () => {
    for (const before of TEXTS) for (const after of TEXTS) expect(done(before, changeOf(before, after))).toBe(after);
  });

  it("is as small as it can be", () => {
    expect(changeOf("x = 1\ny = 2", "x = 1\ny = 3")).toEqual({ start: 10, end: 11, text: "3" });
    expect(changeOf("same", "same").text).toBe("");
  });
});

describe("what was typed", () => {
  it("is carried into a cell that has not changed", () => {
    for (const base of TEXTS) for (const mine of TEXTS) expect(done(base, carry(base, mine, base))).toBe(mine);
  });

  it("leaves what another typed elsewhere in the cell", () => {
    expect(done("a = 10\nb = 2", carry("a = 1\nb = 2", "a = 1\nb = 2\nc = 3", "a = 10\nb = 2"))).toBe("a = 10\nb = 2\nc = 3");
    expect(done("a = 1\nb = 20", carry("a = 1\nb = 2", "# mine\na = 1\nb = 2", "a = 1\nb = 20"))).toBe("# mine\na = 1\nb = 20");
  });

  it("comes after what another typed at the same point", () => {
    expect(done("theirs", carry("", "mine", "theirs"))).toBe("theirsmine");
  });

  it("is not put in twice", () => {
    expect(done("x = 2", carry("x = 1", "x = 2", "x = 2"))).toBe("x = 2");
    expect(done("x = 2", carry("x = 1", "x = 1", "x = 2"))).toBe("x = 2");
  });

  it("does not take the place of what another made of the same piece", () => {
    expect(carry("a = 1", "a = 2", "a = 3")).toBeUndefined();
    expect(carry("abc", "ac", "")).toBeUndefined();
    expect(carry("abc", "abXc", "")).toBeUndefined();
  });

  it("loses nothing of either, or is said to be in conflict", () => {
    for (const base of TEXTS) {
      for (const [at] of [...`${base} `].entries()) {
        const theirs = `${base.slice(0, at)}THEIRS${base.slice(at)}`;
        for (const [place] of [...`${base} `].entries()) {
          const mine = `${base.slice(0, place)}MINE${base.slice(place)}`;
          const both = done(theirs, carry(base, mine, theirs));
          expect(both).toBeDefined();
          expect(both).toContain("THEIRS");
          expect(both?.replace("THEIRS", "")).toBe(mine);
          const caret = place + 4;
          expect(both?.slice(0, carriedPlace(base, mine, theirs, caret)).endsWith("MINE")).toBe(true);
        }
      }
    }
  });
});
