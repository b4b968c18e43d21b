import { describe, expect, it } from "vitest";
import { AwsError } from "../../api/client";
import { orDenial } from "./ClusterPage";

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
