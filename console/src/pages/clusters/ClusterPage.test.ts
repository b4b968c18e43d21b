import { describe, expect, it } from "vitest";
import { AwsError } from "../../api/client";
import { orDenial, phasesText } from "./ClusterPage";

const DENIED =
  "User: arn:aws:iam::123456789012:user/ana is not authorized to perform: elasticmapreduce:ListInstances on resource: * " +
  "because no identity-based policy allows the elasticmapreduce:ListInstances action";

describe("a part of the page", () => {
  it("that is denied leaves the others", async () => {
    const denial = new AwsError("AccessDeniedException", DENIED, 400);
    expect(await orDenial(Promise.reject(denial))).toBe(denial);
  });

  it("that fails otherwise fails the page", async () => {
    const failure = new AwsError("InternalFailure", "Internal server error", 500);
    await expect(orDenial(Promise.reject(failure))).rejects.toBe(failure);
  });

  it("that is answered is shown", async () => {
    expect(await orDenial(Promise.resolve([1]))).toEqual([1]);
  });
});

describe("the start of a cluster", () => {
  const text = (Phases: { Name: string; Seconds: number }[]) => phasesText({ Id: "j-1", Name: "c", Status: { State: "WAITING", Phases } });

  it("is told by its phases", () => {
    const phases = [
      { Name: "BOOTSTRAPPING", Seconds: 1.1 },
      { Name: "RUNNING", Seconds: 7 },
      { Name: "WAITING", Seconds: 7 },
    ];
    expect(text(phases)).toBe("Starting 1.1 s, Bootstrapping 5.9 s");
  });

  it("took no time where a spare was at hand", () => {
    expect(text([{ Name: "WAITING", Seconds: 0 }])).toBe("At once, from a warm spare");
  });

  it("is not known before the first phase", () => {
    expect(text([])).toBe("–");
  });
});
