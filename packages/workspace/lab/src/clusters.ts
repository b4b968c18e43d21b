/** Which clusters are shown, and how. */
import { stateLabel } from "./format";
import type { Cluster, ClusterState, ClusterSummary } from "./types";

/** Clusters that live: those of the first two cannot be attached yet. */
export const LIVE: ClusterState[] = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"];
export const ATTACHABLE: ClusterState[] = ["RUNNING", "WAITING"];

export interface Described extends ClusterSummary, Partial<Pick<Cluster, "ReleaseLabel" | "Applications">> {
  /** Why it can never be attached to this Workspace. */
  unfit?: string;
}

/** What one from outside may be; a kernel gateway is what any cluster is seen as, and not said. */
const KINDS: Record<string, string> = { SPARK_CONNECT: "Spark Connect", LIVY: "Livy" };

/** What one from outside is, where, and why it does not serve. */
function outside(cluster: Described): string {
  const { Code, Message } = cluster.Status.StateChangeReason ?? {};
  const trouble = cluster.Status.State === "WAITING" && Code ? `${Code}: ${Message ?? ""}` : "";
  const kind = KINDS[cluster.OutsideCluster?.Type ?? ""];
  return ["Outside", kind, cluster.OutsideCluster?.Url, trouble].filter(Boolean).join(" · ");
}

export function applications(cluster: Described): string {
  if (cluster.OutsideCluster) return outside(cluster);
  const named = cluster.Applications?.map((application) => application.Name).join(", ");
  return [cluster.ReleaseLabel, named].filter(Boolean).join(" · ");
}

/** "Created 27 Nov 2026, 15:04", in the words of the user's language; empty where it is not known. */
export function created(cluster: Described): string {
  const seconds = cluster.Status.Timeline?.CreationDateTime;
  const words = { dateStyle: "medium", timeStyle: "short" } as const;
  return seconds ? `Created ${new Date(seconds * 1000).toLocaleString([], words)}` : "";
}

/** Those whose name, id, state, creation time or release has all the words. */
export function matching(clusters: Described[], filter: string): Described[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return clusters.filter((cluster) => {
    const said = [cluster.Name, cluster.Id, stateLabel(cluster.Status.State), created(cluster), applications(cluster)];
    const text = said.join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
