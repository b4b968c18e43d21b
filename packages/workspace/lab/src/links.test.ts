import { describe, expect, it } from "vitest";
import { isUnderWay, linkLabel, secretName, takesPlace } from "./links";

describe("links", () => {
  it("call a secret by its name", () => {
    expect(secretName("arn:aws:secretsmanager:us-east-1:123456789012:secret:emr-studio-git/a-b-AbC123")).toBe("emr-studio-git/a-b");
  });

  it("take a place each, but for those that failed", () => {
    const statuses = ["Linking", "Linked", "LinkFailed", "Unlinking", "UnlinkFailed"] as const;
    expect(statuses.map(takesPlace)).toEqual([true, true, false, true, true]);
    expect(statuses.map(isUnderWay)).toEqual([true, false, false, true, false]);
    expect(linkLabel("UnlinkFailed")).toBe("Unlink failed");
  });
});
