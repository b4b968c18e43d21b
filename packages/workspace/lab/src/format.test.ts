import { describe, expect, it } from "vitest";
import { errorOf } from "./errors";
import { matching, type Described } from "./clusters";
import { backupLine, bytes, computeLine, csv, diskLine, stateLabel, stopLine } from "./format";
import { literal, plainError } from "./sqlKernel";
import type { Editor } from "./types";

const cluster = (name: string, state: Described["Status"]["State"], release: string): Described => ({
  Id: `j-${name}`,
  Name: name,
  Status: { State: state },
  ReleaseLabel: release,
});

describe("lines", () => {
  it("says how far the backup is", () => {
    const saved = { savedAt: "2026-01-01T12:00:00Z", pending: 0, error: "", skipped: 0 };
    expect(backupLine(saved).text).toMatch(/^Saved to S3 /);
    expect(backupLine({ ...saved, pending: 2 })).toEqual({ text: "Saving to S3…", tone: "busy" });
    expect(backupLine({ ...saved, pending: 2, error: "no" }).tone).toBe("bad");
    expect(backupLine(null).tone).toBe("bad");
  });

  it("says what runs the notebooks", () => {
    const editor = { EditorId: "e-1", Name: "x", Status: "Ready" } as Editor;
    expect(computeLine(editor, undefined)).toBe("No compute");
    const engine = { Id: "j-1", Type: "EMR" };
    expect(computeLine({ ...editor, Status: "Attached", ExecutionEngine: engine }, undefined)).toBe("Compute: j-1");
    expect(computeLine({ ...editor, Status: "Attaching", ExecutionEngine: engine }, "big")).toBe("Attaching big…");
  });

  it("says when it stops, and on which day", () => {
    const when = new Date(2026, 0, 1, 23, 30);
    expect(stopLine(when.getTime() / 1000, when)).not.toContain("2026");
    expect(stopLine(when.getTime() / 1000, new Date(2026, 0, 2))).toContain("2026");
  });

  it("reads states", () => expect(stateLabel("TERMINATED_WITH_ERRORS")).toBe("Terminated with errors"));
});

describe("clusters", () => {
  const all = [cluster("alpha", "WAITING", "emr-8.0.0"), cluster("beta", "STARTING", "emr-7.12.0")];
  it("are found by any of their words", () => {
    expect(matching(all, "wait ALPHA")).toEqual([all[0]]);
    expect(matching(all, "7.12")).toEqual([all[1]]);
    expect(matching(all, " ")).toEqual(all);
    expect(matching(all, "gamma")).toEqual([]);
  });
});

describe("versions", () => {
  it("say when the disk is full", () => {
    const disk = { limitBytes: 10e9, usedBytes: 2e9, enforcedBy: "kernel" as const, message: "", refuse: false };
    expect(diskLine(disk)).toEqual({ text: "2 GB of 10 GB used", tone: "good" });
    expect(diskLine({ ...disk, usedBytes: 9.5e9 }).tone).toBe("bad");
    expect(diskLine({ ...disk, message: "full" })).toEqual({ text: "Disk full", tone: "bad" });
    expect(diskLine({ ...disk, limitBytes: 0, message: "" }).tone).toBe("good");
  });

  it("have sizes for people", () => expect([0, 999, 1500, 2e6].map(bytes)).toEqual(["0 bytes", "999 bytes", "2 KB", "2 MB"]));
});

describe("SQL", () => {
  it("writes CSV that others read", () => {
    expect(csv(["a", 'b"'], [["1,2", null], ["x\ny", "z"]])).toBe('\ufeffa,"b"""\r\n"1,2",\r\n"x\ny",z\r\n');
  });

  it("puts no text into Python but as a literal", () => {
    expect(literal('"); import os #\n')).toBe('"\\"); import os #\\n"');
  });

  it("shows Spark's message without its stack", () => {
    const evalue = "[TABLE_OR_VIEW_NOT_FOUND] no\n\nJVM stacktrace:\norg.apache";
    expect(plainError({ status: "error", ename: "AnalysisException", evalue, traceback: [] })).toBe(
      "[TABLE_OR_VIEW_NOT_FOUND] no",
    );
    expect(plainError({ status: "error", ename: "KeyboardInterrupt", evalue: "", traceback: [] })).toBe("KeyboardInterrupt");
  });
});

describe("errors", () => {
  it("have AWS's code and message, whatever the body is", () => {
    const denied = errorOf(400, '{"__type":"com.amazon#AccessDeniedException","Message":"not authorized"}');
    expect([denied.code, denied.message, denied.status]).toEqual(["AccessDeniedException", "not authorized", 400]);
    expect(errorOf(502, "<html>").code).toBe("HTTP 502");
    expect(errorOf(500, "[]").message).toContain("Try again");
  });
});
