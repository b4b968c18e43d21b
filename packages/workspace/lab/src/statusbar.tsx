/** The status bar's part: compute, backup, the warning before a stop, and who else is here. */
import { UseSignal } from "@jupyterlab/ui-components";
import * as React from "react";
import { backupLine, computeLine, diskLine, stopLine } from "./format";
import type { StudioState } from "./state";

interface ItemProps {
  text: string;
  title: string;
  tone?: string;
  open: () => void;
}

export function Item({ text, title, tone, open }: ItemProps) {
  return (
    <button className="emrs-status" data-tone={tone} title={title} onClick={open}>
      {text}
    </button>
  );
}

/** The door sends a page without a session to its Studio, which signs in and comes back. */
export function signIn(): void {
  window.open("/lab", "_blank");
}

function backupTitle(state: StudioState): string {
  const backup = state.server.value?.backup;
  if (state.server.error) return state.server.error;
  if (!backup) return "This Workspace has no place in S3.";
  return backup.error || "How far this Workspace's files are in S3. Opens the Backup panel.";
}

function Items({ state, open }: { state: StudioState; open: (panel: string) => void }) {
  const editor = state.editor.value;
  const about = state.about.value;
  const others = about?.Here.filter((name) => name !== about.UserName) ?? [];
  const silent = state.about.error && !editor;
  const backup = state.server.error ? { text: "Backup unknown", tone: "bad" } : backupLine(state.server.value?.backup);
  const disk = state.server.value?.disk && diskLine(state.server.value.disk);
  return (
    <>
      {state.isSignedOut && (
        <Item text="Signed out" title="Your session has ended. Opens a tab to sign in again; what is open here stays." tone="bad" open={signIn} />
      )}
      {silent && !state.isSignedOut && <Item text="Studio does not answer" title={state.about.error ?? ""} tone="bad" open={() => void state.refresh()} />}
      <Item
        text={computeLine(editor, state.cluster?.Name)}
        title="The cluster that runs this Workspace's notebooks. Opens the Compute panel."
        tone={editor?.Status === "Attached" ? "good" : "quiet"}
        open={() => open("compute")}
      />
      {(state.server.value || state.server.error) && (
        <Item text={backup.text} title={backupTitle(state)} tone={backup.tone} open={() => open("backup")} />
      )}
      {disk?.tone === "bad" && (
        <Item
          text={disk.text}
          title={state.server.value?.disk?.message || "This Workspace's disk is nearly full. Opens the Backup panel."}
          tone="bad"
          open={() => open("backup")}
        />
      )}
      {editor?.IdleStopTime && (
        <Item
          text={stopLine(editor.IdleStopTime, new Date())}
          title="Nothing has been at work here for long. Running a cell or changing a file keeps the Workspace running."
          tone="bad"
          open={() => open("compute")}
        />
      )}
      {others.length > 0 && (
        <Item
          text={`Also here: ${others.join(", ")}`}
          title="Who else used this Workspace within the last minute"
          tone="quiet"
          open={() => open("collaboration")}
        />
      )}
    </>
  );
}

export function StatusItems({ state, open }: { state: StudioState; open: (panel: string) => void }) {
  return <UseSignal signal={state.changed}>{() => <Items state={state} open={open} />}</UseSignal>;
}
