import { describe, expect, it } from "vitest";
import { duration } from "./format";
import { oneStatement, type Outcome, runQuery, type Runner } from "./query";
import { Cancelled, SqlError } from "./sqlKernel";
import type { Ran } from "./types";

const ROWS = { columns: ["a"], rows: [["1"]], more: true };
const ASKED = { statement: "SELECT 1", limit: 1, cluster: "j-1" };

async function ran(run: Runner["run"], keep?: (entry: Ran) => Promise<unknown>) {
  const [shown, kept]: [Outcome[], Ran[]] = [[], []];
  const told = keep ?? (async (entry: Ran) => void kept.push(entry));
  const last = await runQuery({ run }, ASKED, new AbortController().signal, (outcome) => shown.push(outcome), told);
  return { shown, kept, last };
}

describe("a statement that is run", () => {
  it("waits, runs and ends, and the history is told twice", async () => {
    const { shown, kept, last } = await ran(async (_statement, _limit, options) => {
      options?.onBegin?.();
      return ROWS;
    });
    expect(shown.map(({ state, waiting }) => [state, waiting]).slice(0, 3)).toEqual([
      ["RUNNING", true],
      ["RUNNING", false],
      ["SUCCEEDED", false],
    ]);
    expect(last.result).toBe(ROWS);
    expect(kept.map((entry) => entry.state)).toEqual(["RUNNING", "SUCCEEDED"]);
    expect(kept[1]).toMatchObject({ id: kept[0]?.id, statement: "SELECT 1", cluster: "j-1", rows: 1, more: true });
    expect(kept[1]?.seconds).toBeGreaterThanOrEqual(0);
  });

  it("says why it failed, and that it was cancelled", async () => {
    const failed = await ran(() => Promise.reject(new SqlError("no such table")));
    expect(failed.kept[1]).toMatchObject({ state: "FAILED", error: "no such table" });
    const cancelled = await ran(() => Promise.reject(new Cancelled("Cancelled.")));
    expect(cancelled.kept[1]?.state).toBe("CANCELLED");
    expect(cancelled.last.error).toBeUndefined();
  });

  it("has its result also where the history cannot be kept", async () => {
    const { last } = await ran(
      async () => ROWS,
      () => Promise.reject(new Error("The disk is full")),
    );
    expect(last).toMatchObject({ state: "SUCCEEDED", unkept: "The disk is full" });
  });

  it("goes to Spark without what ends it", () => {
    expect([oneStatement(" SELECT 1 ; ;\n"), oneStatement(" ; ")]).toEqual(["SELECT 1", ""]);
    expect([duration(0.42), duration(59.6), duration(185)]).toEqual(["0.4 s", "1 min 0 s", "3 min 5 s"]);
  });
});
