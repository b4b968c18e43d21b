/**
 * The tab that becomes a cluster's Spark UI: the live one while the cluster runs, else its history. The cluster's page
 * links here (a real link, so no pop-up blocker is in the way); it waits for the history server and goes to the
 * presigned URL.
 */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import { useEffect, useState } from "react";
import type { AwsError } from "../../api/client";
import { createPersistentUi, describeCluster, persistentUiUrl, sparkUiUrl } from "../../api/emr";
import type { Cluster } from "../../api/types";
import { Failure } from "../../components/Failure";
import { Product } from "../../shell/Product";
import { pause } from "../../state/pause";
import { asAwsError } from "../../state/polled";
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
  const [error, setError] = useState<AwsError>();
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    const stopper = new AbortController();
    describeCluster(clusterId, stopper.signal)
      .then((cluster) => urlOf(cluster, wanted, stopper.signal))
      .then(
        (url) => {
          if (url && !stopper.signal.aborted) window.location.replace(url);
        },
        (failure: unknown) => {
          if (!stopper.signal.aborted) setError(asAwsError(failure));
        },
      );
    return () => stopper.abort();
  }, [clusterId, wanted, attempt]);

  function retry(): void {
    setError(undefined);
    setAttempt((old) => old + 1);
  }

  return (
    <main style={{ maxWidth: 560, margin: "0 auto", padding: "16vh 16px" }}>
      <SpaceBetween size="l">
        <Box textAlign="center">
          <Product />
        </Box>
        {error ? (
          <Alert type="error" header="The Spark UI did not open" action={<Button onClick={retry}>Retry</Button>}>
            <Failure error={error} />
          </Alert>
        ) : (
          <div role="status">
            <Box textAlign="center">
              <Spinner /> Opening the Spark UI of {clusterId} …
            </Box>
          </div>
        )}
      </SpaceBetween>
    </main>
  );
}
