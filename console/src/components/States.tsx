/** A state with its sign; the reason, where there is one, opens on click or by keyboard. */
import Box from "@cloudscape-design/components/box";
import Popover from "@cloudscape-design/components/popover";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import type { ClusterStatus, Editor, Reason } from "../api/types";
import { clusterIndicator, editorIndicator, stateLabel } from "../state/status";

function ReasonText({ reason }: { reason: Reason }) {
  return (
    <>
      {reason.Code ? <Box variant="awsui-key-label">{reason.Code}</Box> : null}
      <Box variant="p">{reason.Message}</Box>
    </>
  );
}

export function EditorState({ editor }: { editor: Editor }) {
  const reason = editor.StateChangeReason;
  if (!reason?.Message) {
    return <StatusIndicator type={editorIndicator(editor.Status)}>{editor.Status}</StatusIndicator>;
  }
  // A reason on a settled Workspace tells why the last change failed: it stays usable.
  const settled = editor.Status === "Idle" || editor.Status === "Ready";
  return (
    <Popover dismissAriaLabel="Close" header="Why" content={<ReasonText reason={reason} />}>
      <StatusIndicator type={settled ? "warning" : editorIndicator(editor.Status)}>{editor.Status}</StatusIndicator>
    </Popover>
  );
}

export function ClusterStateView({ status }: { status: ClusterStatus }) {
  const reason = status.StateChangeReason;
  // Only one from outside has a code while it waits: why it does not serve.
  const kind = status.State === "WAITING" && reason?.Code ? "warning" : clusterIndicator(status.State);
  const indicator = <StatusIndicator type={kind}>{stateLabel(status.State)}</StatusIndicator>;
  if (!reason?.Message && !reason?.Code) return indicator;
  return (
    <Popover dismissAriaLabel="Close" header="Reason" content={<ReasonText reason={reason} />}>
      {indicator}
    </Popover>
  );
}
