/** How far Spark is with what a cell asked for, in words. */
import type { SparkPage } from "./sparkUi";

export interface Stage {
  id: number;
  name: string;
  state: "waiting" | "running" | "done" | "failed";
  tasks: number;
  done: number;
  failed: number;
  reason: string;
}

/** What kernels tell (`emr_studio_cluster.progress`). */
export interface Progress {
  /** The display's; notebooks of before have none. */
  id?: string;
  state: "running" | "done" | "failed";
  seconds: number;
  /** What a piece of work is: a job, or a query of Spark Connect. */
  unit: "job" | "query";
  /** Finished, and all. */
  work: [number, number];
  stages: [number, number];
  tasks: [number, number];
  /** Those to be shown one by one: while it runs, the newest; later, those that failed. */
  shown: Stage[];
  reason: string;
  ui: SparkPage | "";
}

function part([done, all]: [number, number], what: string, running: boolean): string {
  const many = what === "query" ? "queries" : `${what}s`;
  return `${running ? `${done} of ${all}` : all} ${all === 1 ? what : many}`;
}

/** The line that says it all. */
export function progressLine(progress: Progress): string {
  const running = progress.state === "running";
  const said = { running: "Spark is at work", done: "Spark", failed: "Spark failed" }[progress.state];
  const parts = [
    part(progress.work, progress.unit, running),
    part(progress.stages, "stage", running),
    part(progress.tasks, "task", running),
  ];
  return `${said}: ${parts.join(", ")}, ${progress.seconds} s`;
}
