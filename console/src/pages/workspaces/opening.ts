/** How a Workspace gets from where it is to an open JupyterLab, one step at a time. */
import type { Editor } from "../../api/types";

export interface Step {
  kind: "open" | "start" | "attach" | "wait" | "fail";
  /** What the person is told meanwhile. */
  text: string;
}

/** What to do now; `asked` is what this tab has asked for before. */
export function nextStep(
  editor: Pick<Editor, "Status" | "StateChangeReason" | "ExecutionEngine">,
  clusterId: string | undefined,
  asked: { start: boolean; attach: boolean },
): Step {
  const reason = editor.StateChangeReason?.Message;
  switch (editor.Status) {
    case "Idle":
      // It was started and is idle again: it could not start.
      if (asked.start) return { kind: "fail", text: reason ?? "The Workspace could not be started." };
      return { kind: "start", text: "Starting the Workspace" };
    case "Ready":
      if (!clusterId) return { kind: "open", text: "Opening" };
      if (asked.attach) return { kind: "fail", text: reason ?? "The cluster could not be attached." };
      return { kind: "attach", text: "Attaching the cluster" };
    case "Attached":
      if (clusterId && editor.ExecutionEngine?.Id !== clusterId) {
        return { kind: "fail", text: `Attached to ${editor.ExecutionEngine?.Id ?? "another cluster"}: detach it first.` };
      }
      return { kind: "open", text: "Opening" };
    case "Attaching":
      if (!clusterId) return { kind: "open", text: "Opening" };
      return { kind: "wait", text: "Attaching the cluster" };
    case "Stopping":
      return { kind: "wait", text: "The Workspace is stopping; it is started again then" };
    case "Deleting":
      return { kind: "fail", text: "The Workspace is being deleted." };
    default:
      return { kind: "wait", text: "Starting the Workspace" };
  }
}
