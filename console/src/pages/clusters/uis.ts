/** Which application UI of a cluster there is. */
import type { Cluster } from "../../api/types";

export type Ui = "live" | "history";

const LIVE = ["RUNNING", "WAITING"];

/** The one that is wanted, or the live one; of a cluster that does not run there is only its history. */
export function uiOf(cluster: Pick<Cluster, "Status">, wanted?: Ui): Ui {
  return wanted !== "history" && LIVE.includes(cluster.Status.State) ? "live" : "history";
}

/** Before it runs, a cluster has neither. */
export function hasUi(cluster: Pick<Cluster, "Status">): boolean {
  return !["STARTING", "BOOTSTRAPPING"].includes(cluster.Status.State);
}
