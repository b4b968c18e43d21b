import { describe, expect, it } from "vitest";
import type { EditorStatus } from "../api/types";
import { IDLE_MS, isIdle } from "./idle";
import { pollDelay } from "./polled";
import { mayAct, mayTerminate, POLL_MS, s3LocationError, stateLabel, studioNameError, workspaceNameError } from "./status";

const editors = (...states: EditorStatus[]) => states.map((Status) => ({ Status }));

describe("actions on Workspaces", () => {
  it("are those that the status allows", () => {
    expect(mayAct("start", editors("Idle"))).toBe(true);
    expect(mayAct("start", editors("Ready"))).toBe(false);
    expect(mayAct("stop", editors("Ready", "Attached"))).toBe(true);
    expect(mayAct("delete", editors("Deleting"))).toBe(false);
    expect(mayAct("detach", editors("Attached"))).toBe(true);
  });

  it("need every selected one to allow it, and attach exactly one", () => {
    expect(mayAct("stop", [])).toBe(false);
    expect(mayAct("stop", editors("Ready", "Idle"))).toBe(false);
    expect(mayAct("attach", editors("Ready", "Ready"))).toBe(false);
  });
});

describe("clusters", () => {
  it("can be terminated until they end", () => {
    expect(mayTerminate({ Status: { State: "STARTING" } })).toBe(true);
    expect(mayTerminate({ Status: { State: "TERMINATED_WITH_ERRORS" } })).toBe(false);
  });

  it("show their states as people read them", () => {
    expect(stateLabel("TERMINATED_WITH_ERRORS")).toBe("Terminated with errors");
  });
});

describe("polling", () => {
  const isBusy = (data: string) => data === "busy";
  it("is fast while something changes, slow otherwise and after an error", () => {
    expect(pollDelay("busy", false, isBusy)).toBe(POLL_MS.busy);
    expect(pollDelay("still", false, isBusy)).toBe(POLL_MS.quiet);
    expect(pollDelay("busy", true, isBusy)).toBe(POLL_MS.quiet);
    expect(pollDelay(undefined, false, isBusy)).toBe(POLL_MS.quiet);
  });
});

describe("the idle clock", () => {
  it("runs out after the last activity of any tab", () => {
    expect(isIdle(null, 1)).toBe(false);
    expect(isIdle("1000", 1000 + IDLE_MS)).toBe(false);
    expect(isIdle("1000", 1001 + IDLE_MS)).toBe(true);
  });
});

describe("names", () => {
  it("of Workspaces become file names", () => {
    expect(workspaceNameError("Flüge 2013")).toBe("");
    for (const bad of ["", " ", "a/b", "a\\b", "a:b", ".hidden", " lead", "tab\there", "x".repeat(129)]) {
      expect(workspaceNameError(bad), bad).not.toBe("");
    }
  });

  it("of Studios have CloudFormation's pattern", () => {
    expect(studioNameError("team-a_1")).toBe("");
    expect(studioNameError("team a")).not.toBe("");
  });

  it("of S3 locations begin with s3://", () => {
    expect(s3LocationError("s3://bucket/prefix/")).toBe("");
    expect(s3LocationError("s3://bucket")).toBe("");
    expect(s3LocationError("https://bucket")).not.toBe("");
  });
});
