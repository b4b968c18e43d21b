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

describe("the clusters that are shown", () => {
  const one = (Id: string, Name: string, State: "WAITING" | "STARTING", month: number): Described => ({
    Id,
    Name,
    Status: { State, Timeline: { CreationDateTime: new Date(2026, month, 3, 15, 4).getTime() / 1000 } },
  });
  const CLUSTERS = [one("j-A", "alpha", "WAITING", 0), one("j-B", "beta", "STARTING", 10)];
  const shown = (filter: string) => matching(CLUSTERS, filter).map((cluster) => cluster.Name);

  it("are found by name, id and state", () => {
    expect(shown("")).toEqual(["alpha", "beta"]);
    expect(shown("ALP waiting")).toEqual(["alpha"]);
    expect(shown("j-b")).toEqual(["beta"]);
    expect(shown("alpha starting")).toEqual([]);
  });

  it("are found by the time at which they were created", () => {
    const time = new Date(2026, 10, 3, 15, 4).toLocaleString([], { dateStyle: "medium" });
    expect(shown(time)).toEqual(["beta"]);
    expect(shown("2026")).toEqual(["alpha", "beta"]);
  });
});
