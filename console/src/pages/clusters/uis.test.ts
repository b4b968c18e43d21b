import { describe, expect, it } from "vitest";
import type { ClusterState } from "../../api/types";
import { hasUi, uiOf } from "./uis";

const cluster = (State: ClusterState) => ({ Status: { State } });

describe("application UIs", () => {
  it("are live while the cluster runs, then there is its history", () => {
    expect(uiOf(cluster("WAITING"))).toBe("live");
    expect(uiOf(cluster("WAITING"), "history")).toBe("history");
    expect(uiOf(cluster("TERMINATED"))).toBe("history");
    expect(uiOf(cluster("TERMINATED_WITH_ERRORS"), "live")).toBe("history");
    expect([hasUi(cluster("STARTING")), hasUi(cluster("RUNNING"))]).toEqual([false, true]);
  });
});
