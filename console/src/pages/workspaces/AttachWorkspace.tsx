import { useState } from "react";
import { attachEditor } from "../../api/emr";
import type { Editor } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { useNotices } from "../../state/notices";
import { ClusterSelect } from "./ClusterSelect";

interface Props {
  editor: Editor;
  onClose: () => void;
  onDone: () => void;
}

/** Attach a Workspace that runs without compute. */
export function AttachWorkspace({ editor, onClose, onDone }: Props) {
  const [clusterId, setClusterId] = useState<string>();
  const notices = useNotices();

  async function run(): Promise<void> {
    if (!clusterId) return;
    await attachEditor(editor.EditorId, clusterId);
    notices.success(`Attaching Workspace ${editor.Name} to ${clusterId}.`);
    onDone();
  }

  return (
    <Confirm title={`Attach ${editor.Name}`} action="Attach" run={run} onClose={onClose} disabled={!clusterId}>
      <ClusterSelect value={clusterId} onChange={setClusterId} />
    </Confirm>
  );
}

/** Launch with options: open the Workspace's tab, attached to the chosen cluster on the way. */
export function LaunchWithOptions({ editor, onClose }: Omit<Props, "onDone">) {
  const [clusterId, setClusterId] = useState<string>();

  async function run(): Promise<void> {
    const query = clusterId ? `?cluster=${encodeURIComponent(clusterId)}` : "";
    window.open(`#/open/${editor.EditorId}${query}`, "_blank");
    return Promise.resolve();
  }

  return (
    <Confirm title={`Launch ${editor.Name}`} action="Launch Workspace" run={run} onClose={onClose} disabled={!clusterId}>
      <ClusterSelect value={clusterId} onChange={setClusterId} />
    </Confirm>
  );
}
