/** The time machine: what S3 keeps of the document that is open, compared by cell, brought back in one click. */
import { MainAreaWidget } from "@jupyterlab/apputils";
import type { DocumentRegistry } from "@jupyterlab/docregistry";
import type { ICell, INotebookContent } from "@jupyterlab/nbformat";
import { type IRenderMimeRegistry, MimeModel } from "@jupyterlab/rendermime";
import { ReactWidget } from "@jupyterlab/ui-components";
import { Panel, Widget } from "@lumino/widgets";
import * as React from "react";
import * as api from "./api";
import { compare, type Mark, type Marked } from "./cellDiff";
import { bytes } from "./format";
import { backupIcon } from "./icons";
import { Empty, Failure, useAttempt, useOnce } from "./panel";
import type { FileVersion } from "./types";

type Context = DocumentRegistry.Context;

const isNotebook = (context: Context) => context.contentsModel?.type === "notebook" || context.path.endsWith(".ipynb");
const when = (version: FileVersion) => new Date(version.LastModified * 1000).toLocaleString();

interface Text {
  kind: string;
  source: string;
}

/** What is compared: a notebook's cells, or the file as a whole. */
function parts(context: Context, text: string): Text[] {
  if (!isNotebook(context)) return [{ kind: "code", source: text }];
  const notebook = JSON.parse(text) as INotebookContent;
  const source = (cell: ICell) => (Array.isArray(cell.source) ? cell.source.join("") : cell.source);
  return notebook.cells.map((cell) => ({ kind: String(cell.cell_type), source: source(cell) }));
}

/** Put a version's content into the open document, as an edit that others see, and save it. */
async function restore(context: Context, text: string): Promise<void> {
  if (isNotebook(context)) context.model.fromJSON(JSON.parse(text));
  else context.model.fromString(text);
  await context.save();
}

const SAID: Record<Mark, string> = { same: "", gone: "Only in this version", new: "Only in the notebook now" };

async function drawn({ mark, item }: Marked<Text>, rendermime: IRenderMimeRegistry): Promise<Widget> {
  const box = new Panel();
  box.addClass("emrs-cell");
  box.node.dataset["mark"] = mark;
  if (SAID[mark]) {
    const said = new Widget();
    said.node.textContent = SAID[mark];
    said.addClass("emrs-mark");
    box.addWidget(said);
  }
  const renderer = rendermime.createRenderer("text/markdown");
  const text = item.kind === "code" ? `\`\`\`\`python\n${item.source}\n\`\`\`\`` : item.source;
  await renderer.renderModel(new MimeModel({ data: { "text/markdown": text } }));
  box.addWidget(renderer);
  return box;
}

function RestoreButton({ context, version }: { context: Context; version: FileVersion }) {
  const [attempt, { busy, failure }] = useAttempt();
  const [done, setDone] = React.useState(false);
  const bringBack = async () => {
    await restore(context, await api.readVersion(context.path, version.VersionId));
    setDone(true);
  };
  return (
    <>
      <button
        className="jp-mod-styled emrs-button"
        disabled={busy || context.isDisposed}
        title={`Make ${context.path} what it was at ${when(version)}; what it is now stays among the versions`}
        aria-label={`Restore the version of ${when(version)}`}
        onClick={() => attempt(bringBack)}
      >
        Restore
      </button>
      {done && <span role="status">Restored.</span>}
      <Failure text={failure} />
    </>
  );
}

/** A tab with a version beside what the document is now. */
export async function makeVersionTab(context: Context, version: FileVersion, rendermime: IRenderMimeRegistry): Promise<MainAreaWidget> {
  const text = await api.readVersion(context.path, version.VersionId);
  const marked = compare(parts(context, text), parts(context, context.model.toString()), (part) => part.kind + part.source);
  const content = new Panel();
  content.addClass("emrs-preview");
  const changed = marked.filter((one) => one.mark !== "same").length;
  content.addWidget(
    ReactWidget.create(
      <div className="emrs-preview-head">
        <span className="emrs-grow">
          {context.path} as it was at {when(version)}: {changed === 0 ? "the same cells as now" : `${changed} cells differ from now`}. Outputs
          are not shown; restoring brings them back.
        </span>
        <RestoreButton context={context} version={version} />
      </div>,
    ),
  );
  for (const one of marked) content.addWidget(await drawn(one, rendermime));
  const widget = new MainAreaWidget({ content });
  widget.id = `emr-studio-version-${version.VersionId}`;
  widget.title.label = `${context.path.split("/").pop()} · ${when(version)}`;
  widget.title.caption = "An earlier version, compared with now";
  widget.title.icon = backupIcon;
  widget.title.closable = true;
  return widget;
}

export interface VersionProps {
  context: Context | undefined;
  show: (context: Context, version: FileVersion) => Promise<void>;
}

function Rows({ context, show }: { context: Context; show: VersionProps["show"] }) {
  const [found, setFound] = React.useState<FileVersion[]>();
  const [attempt, { busy, failure }] = useAttempt();
  const read = () => attempt(async () => setFound(await api.listVersions(context.path)));
  useOnce(read);
  const earlier = found?.filter((version) => !version.IsLatest);
  return (
    <>
      <p className="emrs-quiet">Of {context.path}, as S3 keeps them.</p>
      <Failure text={failure} />
      {busy && !found && <p>Loading versions…</p>}
      {earlier?.length === 0 && (
        <Empty title="There is no earlier version">
          {found?.[0]?.VersionId === "null" ? "S3 keeps only the newest: turn versioning of the bucket on to keep more." : "It was saved once."}
        </Empty>
      )}
      <ul className="emrs-list" aria-label="Versions">
        {earlier?.map((version) => (
          <li key={version.VersionId} className="emrs-row">
            <span className="emrs-grow">
              {when(version)} <span className="emrs-quiet">{bytes(version.Size)}</span>
            </span>
            <button
              className="jp-mod-styled emrs-button"
              aria-label={`Compare with ${when(version)}`}
              title="Show it beside what the document is now, cell by cell"
              onClick={() => attempt(() => show(context, version))}
            >
              Compare
            </button>
            <RestoreButton context={context} version={version} />
          </li>
        ))}
      </ul>
      <button className="jp-mod-styled emrs-button" title="Ask S3 again" disabled={busy} onClick={read}>
        Refresh
      </button>
    </>
  );
}

/** Versions of the document in front; `context` is undefined where that is none. */
export function VersionList({ context, show }: VersionProps) {
  return (
    <>
      <h3 className="emrs-heading">Versions</h3>
      {context ? <Rows key={context.path} context={context} show={show} /> : <p className="emrs-quiet">Open a document to see its versions.</p>}
    </>
  );
}
