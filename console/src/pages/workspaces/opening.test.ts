import { describe, expect, it } from "vitest";
import { nextStep } from "./opening";

const NEVER = { start: false, attach: false };

describe("opening a Workspace", () => {
  it("opens a ready one at once", () => {
    expect(nextStep({ Status: "Ready" }, undefined, NEVER).kind).toBe("open");
    expect(nextStep({ Status: "Attached" }, undefined, NEVER).kind).toBe("open");
  });

  it("starts an idle one, once", () => {
    expect(nextStep({ Status: "Idle" }, undefined, NEVER).kind).toBe("start");
    const failed = { Status: "Idle" as const, StateChangeReason: { Message: "no room left" } };
    expect(nextStep(failed, undefined, { start: true, attach: false })).toEqual({ kind: "fail", text: "no room left" });
  });

  it("waits for what is under way", () => {
    for (const Status of ["Starting", "Stopping"] as const) {
      expect(nextStep({ Status }, undefined, NEVER).kind).toBe("wait");
    }
  });

  it("attaches the chosen cluster first", () => {
    expect(nextStep({ Status: "Ready" }, "j-1", NEVER).kind).toBe("attach");
    expect(nextStep({ Status: "Attaching" }, "j-1", { start: false, attach: true }).kind).toBe("wait");
    const attached = { Status: "Attached" as const, ExecutionEngine: { Id: "j-1", Type: "EMR" } };
    expect(nextStep(attached, "j-1", NEVER).kind).toBe("open");
    expect(nextStep(attached, "j-2", NEVER).kind).toBe("fail");
  });

  it("says why the cluster could not be attached", () => {
    const refused = { Status: "Ready" as const, StateChangeReason: { Message: "gateway not reachable" } };
    expect(nextStep(refused, "j-1", { start: false, attach: true })).toEqual({
      kind: "fail",
      text: "gateway not reachable",
    });
  });

  it("gives up on one that is being deleted", () => {
    expect(nextStep({ Status: "Deleting" }, undefined, NEVER).kind).toBe("fail");
  });
});
