import { describe, expect, it } from "vitest";
import { CHARTS, firstChoice, specification, type Table } from "./charts";
import { type Progress, progressLine } from "./progressLine";

const table: Table = {
  columns: [
    { name: "price.in[€]", kind: "number" },
    { name: "fruit", kind: "text" },
  ],
  rows: [
    [1, "pear"],
    [2, "apple"],
  ],
  more: false,
};

describe("charts", () => {
  it("begins with something that can be looked at", () => {
    expect(firstChoice(table)).toEqual({ chart: "Bar", x: 1, y: 0, summary: "sum" });
    expect(firstChoice({ ...table, columns: [{ name: "fruit", kind: "text" }] })).toMatchObject({ x: 0, summary: "count" });
    expect(firstChoice({ ...table, columns: [] })).toMatchObject({ x: 0, y: 0 });
  });

  it("draws five of them, whatever a column is called", () => {
    for (const chart of CHARTS) {
      const made = JSON.stringify(specification(table, { ...firstChoice(table), chart }));
      expect(made).toContain('"title":"' + (chart === "Scatter" ? "price.in[€]" : "sum of price.in[€]"));
      expect(made).toContain('{"c0":1,"c1":"pear"}');
    }
  });
});

describe("progress", () => {
  it("says in one line how far Spark is", () => {
    const running: Progress = {
      state: "running",
      seconds: 3,
      unit: "job",
      work: [0, 1],
      stages: [1, 2],
      tasks: [5, 10],
      shown: [],
      reason: "",
      ui: "live",
    };
    expect(progressLine(running)).toBe("Spark is at work: 0 of 1 job, 1 of 2 stages, 5 of 10 tasks, 3 s");
    expect(progressLine({ ...running, state: "done" })).toBe("Spark: 1 job, 2 stages, 10 tasks, 3 s");
    expect(progressLine({ ...running, unit: "query", work: [2, 3] })).toMatch(/2 of 3 queries/);
  });
});
