import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Box from "@cloudscape-design/components/box";
import Link from "@cloudscape-design/components/link";
import Select from "@cloudscape-design/components/select";
import type { TableProps } from "@cloudscape-design/components/table";
import { useMemo, useState } from "react";
import { deleteEditor, detachEditor, listEditors, listStudios, startEditor, stopEditor } from "../../api/emr";
import type { Editor, StudioSummary } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { ResourceTable } from "../../components/ResourceTable";
import { EditorState } from "../../components/States";
import { time } from "../../format";
import { navigate } from "../../router";
import { useNotices } from "../../state/notices";
import { usePolled } from "../../state/polled";
import { isEditorInTransition, mayAct } from "../../state/status";
import { AttachWorkspace, LaunchWithOptions } from "./AttachWorkspace";
import { CreateWorkspace } from "./CreateWorkspace";

interface Props {
  /** Only this Studio's; without it all of the account's (the administrator's page). */
  studioId?: string;
  /** Of the Studio, for a cluster made with a Workspace. */
  subnetIds?: string[] | undefined;
  /** Begin with the create dialog open. */
  create?: boolean;
}

type Column = TableProps.ColumnDefinition<Editor>;

const COLUMNS: Column[] = [
  {
    id: "name",
    header: "Name",
    sortingField: "Name",
    isRowHeader: true,
    minWidth: 160,
    cell: (editor) =>
      editor.Status === "Deleting" ? (
        editor.Name
      ) : (
        <Link
          href={`#/open/${editor.EditorId}`}
          target="_blank"
          external
          externalIconAriaLabel="Opens in a new tab"
        >
          {editor.Name}
        </Link>
      ),
  },
  { id: "status", header: "Status", sortingField: "Status", minWidth: 130, cell: (editor) => <EditorState editor={editor} /> },
  { id: "created", header: "Creation time", sortingField: "CreationTime", minWidth: 190, cell: (editor) => time(editor.CreationTime) },
  {
    id: "modified",
    header: "Last modified",
    sortingField: "LastModifiedTime",
    minWidth: 190,
    cell: (editor) => time(editor.LastModifiedTime),
  },
  { id: "user", header: "User", sortingField: "User", minWidth: 110, cell: (editor) => editor.User ?? "–" },
  {
    id: "compute",
    header: "Compute",
    sortingComparator: (a, b) => (a.ExecutionEngine?.Id ?? "").localeCompare(b.ExecutionEngine?.Id ?? ""),
    minWidth: 160,
    cell: (editor) =>
      editor.ExecutionEngine ? (
        <Link href={`#/clusters/${editor.ExecutionEngine.Id}`}>{editor.ExecutionEngine.Id}</Link>
      ) : (
        "–"
      ),
  },
];

/** The Studio by name where it still exists: a Workspace outlives its Studio. */
function studioColumn(studios: StudioSummary[]): Column {
  const names = new Map(studios.map((studio) => [studio.StudioId, studio.Name]));
  const nameOf = (editor: Editor) => names.get(editor.StudioId) ?? editor.StudioId;
  return {
    id: "studio",
    header: "Studio",
    sortingComparator: (a, b) => nameOf(a).localeCompare(nameOf(b)),
    cell: (editor) => <Link href={`#/studios/${editor.StudioId}`}>{nameOf(editor)}</Link>,
  };
}

const ANY = { value: "any", label: "Any column" };
const SEARCHED = [
  ANY,
  { value: "name", label: "Name" },
  { value: "status", label: "Status" },
  { value: "created", label: "Creation time" },
  { value: "modified", label: "Last modified" },
  { value: "user", label: "User" },
  { value: "compute", label: "Compute" },
];

/** What the filter searches: one column as it is shown, or all that is known of the Workspace. */
function textOf(editor: Editor, column: string): string {
  const shown: Record<string, string | undefined> = {
    name: editor.Name,
    status: editor.Status,
    created: time(editor.CreationTime),
    modified: time(editor.LastModifiedTime),
    user: editor.User,
    compute: editor.ExecutionEngine?.Id,
  };
  if (column !== ANY.value) return shown[column] ?? "";
  return [editor.EditorId, editor.Description, ...Object.values(shown)].join("\n");
}

type Dialog = "create" | "attach" | "launch" | "delete";

export default function WorkspacesPage({ studioId, subnetIds, create = false }: Props) {
  const editors = usePolled(
    studioId ?? "all",
    (signal) => listEditors(studioId, signal),
    (found) => found.some(isEditorInTransition),
  );
  const studios = usePolled(studioId ? "no studios" : "studios", (signal) =>
    studioId ? Promise.resolve([]) : listStudios(signal),
  );
  // The same array while nothing changed: the table knows its sorted column by identity.
  const columns = useMemo(
    () => (studioId ? COLUMNS : [...COLUMNS, studioColumn(studios.data ?? [])]),
    [studioId, studios.data],
  );
  const [searched, setSearched] = useState(ANY.value);
  const [selectedIds, setSelectedIds] = useState<string[]>([]);
  const [dialog, setDialog] = useState<Dialog | undefined>(create ? "create" : undefined);
  const [busy, setBusy] = useState(false);
  const notices = useNotices();
  const selected = (editors.data ?? []).filter((editor) => selectedIds.includes(editor.EditorId));
  const only = selected.length === 1 ? selected[0] : undefined;
  const may = (action: Parameters<typeof mayAct>[0]) => !busy && mayAct(action, selected);

  /** One request for each; what failed is said by name, the others are done all the same. */
  async function each(verb: string, done: string, act: (id: string) => Promise<unknown>): Promise<void> {
    setBusy(true);
    const targets = selected;
    const results = await Promise.allSettled(targets.map((editor) => act(editor.EditorId)));
    const good = targets.filter((_, index) => results[index]?.status === "fulfilled");
    results.forEach((result, index) => {
      if (result.status === "rejected") notices.failure(`${verb} ${targets[index]?.Name} failed`, result.reason);
    });
    if (good.length) notices.success(`${done} ${good.map((editor) => editor.Name).join(", ")}.`);
    setBusy(false);
    await editors.refresh();
  }

  function close(): void {
    setDialog(undefined);
    if (create) navigate("/workspaces");
  }
  const refresh = () => void editors.refresh();

  return (
    <>
      <ResourceTable
        title="Workspaces"
        noun="Workspaces"
        description={studioId ? "Notebooks with JupyterLab; each opens in its own tab." : "The Workspaces of all Studios."}
        polled={editors}
        columns={columns}
        idOf={(editor) => editor.EditorId}
        nameOf={(editor) => editor.Name}
        textOf={(editor) => textOf(editor, searched)}
        filters={
          <div style={{ flex: "0 1 200px" }}>
            <Select
              ariaLabel="Search in"
              options={SEARCHED}
              selectedOption={SEARCHED.find(({ value }) => value === searched) ?? ANY}
              onChange={({ detail }) => setSearched(detail.selectedOption.value ?? ANY.value)}
            />
          </div>
        }
        sortedBy={{ id: "created", descending: true }}
        selected={selected}
        onSelect={(items) => setSelectedIds(items.map((editor) => editor.EditorId))}
        empty={{
          text: "No Workspaces",
          action: studioId ? <Button onClick={() => setDialog("create")}>Create Workspace</Button> : null,
        }}
        actions={[
          <Button disabled={!may("start")} onClick={() => void each("Starting", "Starting", (id) => startEditor(id))}>
            Start
          </Button>,
          <Button disabled={!may("stop")} onClick={() => void each("Stopping", "Stopping", stopEditor)}>
            Stop
          </Button>,
          <Button disabled={!may("attach")} onClick={() => setDialog("attach")}>
            Attach
          </Button>,
          <Button disabled={!may("detach")} onClick={() => void each("Detaching", "Detaching", detachEditor)}>
            Detach
          </Button>,
          <Button disabled={!may("delete")} onClick={() => setDialog("delete")}>
            Delete
          </Button>,
          <ButtonDropdown
            disabled={!only || only.Status === "Deleting"}
            items={[
              { id: "quick", text: "Quick launch" },
              { id: "options", text: "Launch with options" },
              ]}
              onItemClick={({ detail }) => {
                if (detail.id === "options") setDialog("launch");
                else if (only) window.open(`#/open/${only.EditorId}`, "_blank");
              }}
            >
              Launch Workspace
            </ButtonDropdown>,
            studioId ? (
              <Button variant="primary" onClick={() => setDialog("create")}>
                Create Workspace
              </Button>
            ) : null,
        ]}
      />
      {dialog === "create" && studioId ? (
        <CreateWorkspace studioId={studioId} subnetIds={subnetIds} onClose={close} onCreated={refresh} />
      ) : null}
      {dialog === "attach" && only ? <AttachWorkspace editor={only} onClose={close} onDone={refresh} /> : null}
      {dialog === "launch" && only ? <LaunchWithOptions editor={only} onClose={close} /> : null}
      {dialog === "delete" ? (
        <Confirm
          title={selected.length === 1 ? "Delete Workspace" : `Delete ${selected.length} Workspaces`}
          action="Delete"
          run={() => each("Deleting", "Deleting", deleteEditor)}
          onClose={close}
          disabled={selected.length === 0}
        >
          <Box>Delete {selected.map((editor) => editor.Name).join(", ")}? Files in S3 are kept.</Box>
        </Confirm>
      ) : null}
    </>
  );
}
