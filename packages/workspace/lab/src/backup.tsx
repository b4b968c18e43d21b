/** Backup: how far this Workspace's files are in S3, and what is not even in a file yet. */
import * as React from "react";
import { backupLine, diskLine } from "./format";
import { Empty, Failure } from "./panel";
import type { StudioState } from "./state";
import type { Disk } from "./types";

interface Props {
  state: StudioState;
  /** Names of open documents that have unsaved changes. */
  unsaved: () => string[];
  saveAll: () => void;
  versions: React.JSX.Element;
}

function DiskUse({ disk }: { disk: Disk }) {
  const line = diskLine(disk);
  const measured = "It is measured now and then: saving here is refused when it is full, programs in terminals that go on are ended.";
  return (
    <>
      <h3 className="emrs-heading">Disk</h3>
      <div className="emrs-card" data-tone={line.tone}>
        <p className="emrs-strong">{line.text}</p>
        {disk.message && <p className="emrs-warning">{disk.message}</p>}
        <p>{disk.enforcedBy === "kernel" ? "Nothing in this Workspace can write more than that." : measured}</p>
      </div>
    </>
  );
}

function Documents({ unsaved, saveAll }: Pick<Props, "unsaved" | "saveAll">) {
  const names = unsaved();
  if (names.length === 0) return <p>Every open document is saved.</p>;
  return (
    <>
      <ul className="emrs-list" aria-label="Unsaved documents">
        {names.map((name) => (
          <li key={name} className="emrs-row">
            {name}
          </li>
        ))}
      </ul>
      <button className="jp-mod-styled emrs-button" title="Save all open documents (they are then copied to S3)" onClick={saveAll}>
        Save all
      </button>
    </>
  );
}

export function BackupPanel({ state, unsaved, saveAll, versions }: Props) {
  const backup = state.server.value?.backup;
  const location = state.editor.value?.S3Location;
  if (!state.server.value && state.server.error) return <Failure text={state.server.error} retry={() => void state.refresh()} />;
  if (!state.server.value) return <p>Loading…</p>;
  const disk = state.server.value.disk;
  if (!backup) return <Empty title="Nothing is saved to S3">This Workspace has no place in S3.</Empty>;
  const line = backupLine(backup);
  return (
    <>
      <div className="emrs-card" data-tone={line.tone}>
        <p className="emrs-strong" aria-live="polite">
          {line.text}
        </p>
        {backup.pending > 0 && <p>{backup.pending === 1 ? "1 change is on its way." : `${backup.pending} changes are on their way.`}</p>}
        {backup.error && <p className="emrs-warning">{backup.error} It is tried again; the files are safe on the host meanwhile.</p>}
        {backup.skipped > 0 && (
          <p className="emrs-warning">{backup.skipped} files are not saved: S3 cannot hold their names, or they belong to somebody else.</p>
        )}
      </div>
      {disk && <DiskUse disk={disk} />}
      {location && (
        <>
          <h3 className="emrs-heading">Where</h3>
          <p className="emrs-code">{location}</p>
        </>
      )}
      <h3 className="emrs-heading">Not in a file yet</h3>
      <Documents unsaved={unsaved} saveAll={saveAll} />
      {versions}
    </>
  );
}
