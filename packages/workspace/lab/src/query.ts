/** One statement that is run: what comes of it, told to the history as it begins and ends. */
import { UUID } from "@lumino/coreutils";
import { messageOf } from "./errors";
import { Cancelled, type Rows, type RunOptions } from "./sqlKernel";
import type { QueryState, Ran } from "./types";

/** Who runs it: `SqlKernel`. */
export interface Runner {
  run(statement: string, limit: number, options?: RunOptions): Promise<Rows>;
}

export interface Outcome {
  state: QueryState;
  /** It waits for another tab's statement. */
  waiting: boolean;
  result?: Rows;
  error?: string;
  seconds?: number;
  /** Why the history does not have it. */
  unkept?: string;
}

/** The text as Spark takes it: one statement, without what ends it. */
export function oneStatement(text: string): string {
  return text.replace(/[;\s]+$/, "").trimStart();
}

function report(outcome: Outcome, begun: Ran): Ran {
  const { state, result, error, seconds } = outcome;
  const rows = result ? { rows: result.rows.length, more: result.more } : {};
  return { ...begun, state, ...rows, ...(error ? { error } : {}), ...(seconds === undefined ? {} : { seconds }) };
}

export interface Asked {
  statement: string;
  limit: number;
  cluster: string;
}

/** Run it; `show` is told of each change. `keep` is the history. */
export async function runQuery(
  runner: Runner,
  { statement, limit, cluster }: Asked,
  signal: AbortSignal,
  show: (outcome: Outcome) => void,
  keep: (ran: Ran) => Promise<unknown>,
): Promise<Outcome> {
  let outcome: Outcome = { state: "RUNNING", waiting: true };
  const set = (part: Partial<Outcome>) => show((outcome = { ...outcome, ...part }));
  const tell = (ran: Ran) => keep(ran).catch((error: unknown) => set({ unkept: messageOf(error) }));
  let began = performance.now();
  const onBegin = () => {
    began = performance.now();
    set({ waiting: false });
  };
  set({});
  const entry: Ran = { id: UUID.uuid4(), statement, state: "RUNNING", started: new Date().toISOString(), cluster };
  // Its end is told after its beginning, whatever the network does.
  const told = tell(entry);
  try {
    const result = await runner.run(statement, limit, { signal, onBegin });
    set({ state: "SUCCEEDED", result });
  } catch (error) {
    if (error instanceof Cancelled) set({ state: "CANCELLED" });
    else set({ state: "FAILED", error: messageOf(error) });
  }
  set({ waiting: false, seconds: (performance.now() - began) / 1000 });
  await told;
  await tell(report(outcome, entry));
  return outcome;
}
