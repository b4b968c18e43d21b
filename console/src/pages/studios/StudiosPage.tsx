import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Link from "@cloudscape-design/components/link";
import type { TableProps } from "@cloudscape-design/components/table";
import { useState } from "react";
import { deleteStudio, listStudios } from "../../api/emr";
import type { StudioSummary } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { ResourceTable } from "../../components/ResourceTable";
import { time } from "../../format";
import { navigate } from "../../router";
import { useNotices } from "../../state/notices";
import { usePolled } from "../../state/polled";

const COLUMNS: TableProps.ColumnDefinition<StudioSummary>[] = [
  {
    id: "name",
    header: "Studio name",
    sortingField: "Name",
    isRowHeader: true,
    minWidth: 160,
    cell: (studio) => <Link href={`#/studios/${studio.StudioId}`}>{studio.Name}</Link>,
  },
  { id: "created", header: "Creation date", sortingField: "CreationTime", minWidth: 190, cell: (studio) => time(studio.CreationTime) },
  {
    id: "url",
    header: "Studio access URL",
    sortingField: "Url",
    minWidth: 320,
    cell: (studio) => (
      <Link href={studio.Url} target="_blank" external externalIconAriaLabel="Opens in a new tab">
        {studio.Url}
      </Link>
    ),
  },
  {
    id: "auth",
    header: "Authentication mode",
    sortingField: "AuthMode",
    minWidth: 150,
    cell: (studio) => (studio.AuthMode === "SSO" ? "IAM Identity Center" : "IAM"),
  },
];

export default function StudiosPage() {
  const studios = usePolled("studios", (signal) => listStudios(signal));
  const [selectedIds, setSelectedIds] = useState<string[]>([]);
  const [deleting, setDeleting] = useState(false);
  const notices = useNotices();
  const selected = (studios.data ?? []).filter((studio) => selectedIds.includes(studio.StudioId));
  const only = selected[0];

  async function remove(): Promise<void> {
    if (!only) return;
    await deleteStudio(only.StudioId);
    notices.success(`Studio ${only.Name} is deleted.`);
    await studios.refresh();
  }

  return (
    <>
      <ResourceTable
        title="Studios"
        noun="Studios"
        description="Each has its own address, users, network and S3 location."
        polled={studios}
        columns={COLUMNS}
        idOf={(studio) => studio.StudioId}
        nameOf={(studio) => studio.Name}
        textOf={(studio) => [studio.Name, studio.StudioId, studio.Url, studio.AuthMode, studio.Description].join("\n")}
        sortedBy={{ id: "created", descending: true }}
        selectionType="single"
        selected={selected}
        onSelect={(items) => setSelectedIds(items.map((studio) => studio.StudioId))}
        empty={{
          text: "No Studios",
          action: <Button onClick={() => navigate("/studios/create")}>Create Studio</Button>,
        }}
        actions={[
          <Button disabled={!only} onClick={() => setDeleting(true)}>
            Delete
          </Button>,
          <Button variant="primary" onClick={() => navigate("/studios/create")}>
            Create Studio
          </Button>,
        ]}
      />
      {deleting && only ? (
        <Confirm title="Delete Studio" action="Delete" run={remove} onClose={() => setDeleting(false)}>
          <Box>Delete {only.Name}? Its Workspaces and their files in S3 are kept.</Box>
        </Confirm>
      ) : null}
    </>
  );
}
