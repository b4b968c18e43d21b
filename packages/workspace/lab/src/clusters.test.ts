import { describe, expect, it } from "vitest";
import { applications, matching, type Described } from "./clusters";

const OUTSIDE: Described = {
  Id: "j-1",
  Name: "theirs",
  Status: { State: "WAITING", StateChangeReason: { Message: "Cluster ready." } },
  OutsideCluster: { Type: "JUPYTER_GATEWAY", Url: "https://g.example.com" },
};

describe("a cluster from outside", () => {
  it("says where it is", () => {
    expect(applications(OUTSIDE)).toBe("Outside · https://g.example.com");
    expect(matching([OUTSIDE], "example")).toEqual([OUTSIDE]);
  });
  it("says what it is", () => {
    const connect: Described = { ...OUTSIDE, OutsideCluster: { Type: "SPARK_CONNECT", Url: "sc://s:15002" } };
    expect(applications(connect)).toBe("Outside · Spark Connect · sc://s:15002");
  });
  it("says why it does not serve", () => {
    const reason = { Code: "UNREACHABLE", Message: "Nobody answers." };
    const away: Described = { ...OUTSIDE, Status: { State: "WAITING", StateChangeReason: reason } };
    expect(applications(away)).toBe("Outside · https://g.example.com · UNREACHABLE: Nobody answers.");
  });
});
