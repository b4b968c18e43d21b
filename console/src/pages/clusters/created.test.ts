import { describe, expect, it } from "vitest";
import { createdIn, type CreatedRange, rangeError } from "./created";

const NOW = new Date(2026, 2, 31, 12, 0, 0);
const ago = (hours: number) => NOW.getTime() / 1000 - hours * 3600;
const last = (amount: number, unit: "hour" | "week" | "month" | "year"): CreatedRange => ({ type: "relative", amount, unit });

describe("clusters by creation time", () => {
  it("are all there without a range", () => {
    expect(createdIn(null, 0, NOW)).toBe(true);
  });

  it("are those of the last hours or weeks", () => {
    expect(createdIn(last(3, "hour"), ago(3), NOW)).toBe(true);
    expect(createdIn(last(3, "hour"), ago(3.1), NOW)).toBe(false);
    expect(createdIn(last(1, "week"), ago(6 * 24), NOW)).toBe(true);
    expect(createdIn(last(1, "week"), ago(8 * 24), NOW)).toBe(false);
  });

  it("are those of the last month, from its last day where it is shorter", () => {
    const february = new Date(2026, 1, 28, 12, 0, 0).getTime() / 1000;
    expect(createdIn(last(1, "month"), february, NOW)).toBe(true);
    expect(createdIn(last(1, "month"), february - 1, NOW)).toBe(false);
    expect(createdIn(last(1, "year"), ago(364 * 24), NOW)).toBe(true);
    expect(createdIn(last(1, "year"), ago(366 * 24), NOW)).toBe(false);
  });

  it("are those between two moments, both included", () => {
    const range: CreatedRange = { type: "absolute", startDate: "2026-03-01T00:00:00Z", endDate: "2026-03-01T01:00:00+01:00" };
    const moment = Date.UTC(2026, 2, 1) / 1000;
    expect(createdIn(range, moment, NOW)).toBe(true);
    expect(createdIn(range, moment + 1, NOW)).toBe(false);
    expect(createdIn(range, moment - 1, NOW)).toBe(false);
  });
});

describe("a range", () => {
  it("that can be meant has no error", () => {
    expect(rangeError(null)).toBeUndefined();
    expect(rangeError(last(1, "hour"))).toBeUndefined();
    expect(rangeError({ type: "absolute", startDate: "2026-03-01T00:00:00Z", endDate: "2026-03-02T00:00:00Z" })).toBeUndefined();
  });

  it("that cannot says why", () => {
    expect(rangeError(last(Number.NaN, "hour"))).toContain("1 or more");
    expect(rangeError({ type: "absolute", startDate: "", endDate: "2026-03-02T00:00:00Z" })).toContain("a start and an end");
    expect(rangeError({ type: "absolute", startDate: "2026-03-03T00:00:00Z", endDate: "2026-03-02T00:00:00Z" })).toContain("after");
  });
});
