/**
 * The tab that becomes a Workspace's JupyterLab. The list links here; it starts the Workspace if it is idle, waits, and
 * goes to the presigned URL.
 */
import { useCallback, useState } from "react";
import { attachEditor, describeEditor, openEditor, startEditor } from "../../api/emr";
import type { Editor } from "../../api/types";
import { Opening } from "../../components/Opening";
import { pause } from "../../state/pause";
import { announceChange } from "../../state/polled";
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

  const find = useCallback(
    (signal: AbortSignal) =>
      open({ editorId, clusterId }, signal, (editor, what) => {
        setName(editor.Name);
        setText(what);
        document.title = `${editor.Name} – EMR Studio`;
      }),
    [editorId, clusterId],
  );
  return <Opening title={name || "Workspace"} text={text} failed="The Workspace did not open" find={find} />;
}
