import { describe, expect, it } from "vitest";
import { applications, matching, type Described } from "./clusters";

const OUTSIDE: Described = {
  Id: "j-1",
  Name: "theirs",
  Status: { State: "WAITING", StateChangeReason: { Message: "Cluster ready." } },
  OutsideCluster: { Url: "https://g.example.com" },
};

describe("a cluster from outside", () => {
  it("says where it is", () => {
    expect(applications(OUTSIDE)).toBe("Outside · https://g.example.com");
    expect(matching([OUTSIDE], "example")).toEqual([OUTSIDE]);
  });
  it("says why it does not serve", () => {
    const reason = { Code: "UNREACHABLE", Message: "Nobody answers." };
    const away: Described = { ...OUTSIDE, Status: { State: "WAITING", StateChangeReason: reason } };
    expect(applications(away)).toBe("Outside · https://g.example.com · UNREACHABLE: Nobody answers.");
  });
});
