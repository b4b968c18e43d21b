/**
 * The tab that becomes a cluster's Spark UI: the live one while the cluster runs, else its history. The cluster's page
 * links here; it waits for the history server and goes to the presigned URL.
 */
import { useCallback } from "react";
import { createPersistentUi, describeCluster, persistentUiUrl, sparkUiUrl } from "../../api/emr";
import type { Cluster } from "../../api/types";
import { Opening } from "../../components/Opening";
import { pause } from "../../state/pause";
import { uiOf, type Ui } from "./uis";

const STEP_MS = 500;

async function urlOf(cluster: Cluster, wanted: Ui | undefined, signal: AbortSignal): Promise<string | undefined> {
  if (uiOf(cluster, wanted) === "live") return sparkUiUrl(cluster.Id);
  const id = await createPersistentUi(cluster.ClusterArn ?? cluster.Id);
  while (!signal.aborted) {
    const url = await persistentUiUrl(id);
    if (url) return url;
    await pause(STEP_MS, signal);
  }
  return undefined;
}

export function OpenUi({ clusterId, wanted }: { clusterId: string; wanted: Ui | undefined }) {
  const find = useCallback(
    async (signal: AbortSignal) => urlOf(await describeCluster(clusterId, signal), wanted, signal),
    [clusterId, wanted],
  );
  return <Opening text={`Opening the Spark UI of ${clusterId}`} failed="The Spark UI did not open" find={find} />;
}
