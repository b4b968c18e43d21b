/**
 * The tab that becomes a Workspace's JupyterLab. The list links here (a real link, so no pop-up blocker
 * is in the way); it starts the Workspace if it is idle, waits, and goes to the presigned URL.
 */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import { useEffect, useState } from "react";
import type { AwsError } from "../../api/client";
import { attachEditor, describeEditor, openEditor, startEditor } from "../../api/emr";
import type { Editor } from "../../api/types";
import { Failure } from "../../components/Failure";
import { pause } from "../../state/pause";
import { announceChange, asAwsError } from "../../state/polled";
import { Product } from "../../shell/Product";
import { nextStep } from "./opening";

interface Props {
  editorId: string;
  clusterId: string | undefined;
}

const STEP_MS = 1000;

async function open(
  { editorId, clusterId }: Props,
  signal: AbortSignal,
  tell: (editor: Editor, text: string) => void,
): Promise<string | undefined> {
  const asked = { start: false, attach: false };
  while (!signal.aborted) {
    const editor = await describeEditor(editorId, signal);
    const step = nextStep(editor, clusterId, asked);
    tell(editor, step.text);
    if (step.kind === "open") {
      const url = await openEditor(editorId);
      announceChange();
      return url;
    }
    if (step.kind === "fail") throw new Error(step.text);
    if (step.kind === "start") {
      asked.start = true;
      await startEditor(editorId, clusterId);
      announceChange();
    } else if (step.kind === "attach") {
      asked.attach = true;
      await attachEditor(editorId, clusterId ?? "");
      announceChange();
    } else {
      await pause(STEP_MS, signal);
    }
  }
  return undefined;
}

export function OpenWorkspace({ editorId, clusterId }: Props) {
  const [name, setName] = useState("");
  const [text, setText] = useState("Looking for the Workspace");
  const [error, setError] = useState<AwsError>();
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    const stopper = new AbortController();
    const tell = (editor: Editor, what: string) => {
      setName(editor.Name);
      setText(what);
      document.title = `${editor.Name} – EMR Studio`;
    };
    open({ editorId, clusterId }, stopper.signal, tell).then(
      (url) => {
        if (url && !stopper.signal.aborted) window.location.replace(url);
      },
      (failure: unknown) => {
        if (stopper.signal.aborted) return;
        setError(asAwsError(failure));
      },
    );
    return () => stopper.abort();
  }, [editorId, clusterId, attempt]);

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
        <Box variant="h1" textAlign="center">
          {name || "Workspace"}
        </Box>
        {error ? (
          <Alert type="error" header="The Workspace did not open" action={<Button onClick={retry}>Retry</Button>}>
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
