/**
 * A tab that becomes another page: it shows what it waits for, then goes there, or says why not. Links lead to it (real
 * links, so no pop-up blocker is in the way).
 */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import { useEffect, useState } from "react";
import type { AwsError } from "../api/client";
import { Product } from "../shell/Product";
import { asAwsError } from "../state/polled";
import { Failure } from "./Failure";

interface Props {
  title?: string;
  /** What it waits for. */
  text: string;
  /** The headline if it fails. */
  failed: string;
  /** Finds the page's address, none once it is aborted; another function begins anew. */
  find: (signal: AbortSignal) => Promise<string | undefined>;
}

export function Opening({ title, text, failed, find }: Props) {
  const [error, setError] = useState<AwsError>();
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    const stopper = new AbortController();
    find(stopper.signal).then(
      (url) => {
        if (url && !stopper.signal.aborted) window.location.replace(url);
      },
      (failure: unknown) => {
        if (!stopper.signal.aborted) setError(asAwsError(failure));
      },
    );
    return () => stopper.abort();
  }, [find, attempt]);

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
        {title ? (
          <Box variant="h1" textAlign="center">
            {title}
          </Box>
        ) : null}
        {error ? (
          <Alert type="error" header={failed} action={<Button onClick={retry}>Retry</Button>}>
            {error.status ? <Failure error={error} /> : error.detail}
          </Alert>
        ) : (
          <div role="status">
            <Box textAlign="center">
              <Spinner /> {text} …
            </Box>
          </div>
        )}
      </SpaceBetween>
    </main>
  );
}
