/** The time machine: what S3 keeps of the document that is open, compared by cell, brought back in one click. */
import { MainAreaWidget } from "@jupyterlab/apputils";
import type { DocumentRegistry } from "@jupyterlab/docregistry";
import { type IRenderMimeRegistry, MimeModel } from "@jupyterlab/rendermime";
import { ReactWidget } from "@jupyterlab/ui-components";
import { Panel, Widget } from "@lumino/widgets";
import * as React from "react";
import * as api from "./api";
import { bytes } from "./format";
import { backupIcon } from "./icons";
import { Empty, Failure, useAttempt, useOnce } from "./panel";
import type { ComparedCell, FileVersion, Mark } from "./types";

type Context = DocumentRegistry.Context;

const isNotebook = (context: Context) => context.contentsModel?.type === "notebook" || context.path.endsWith(".ipynb");
const when = (version: FileVersion) => new Date(version.LastModified * 1000).toLocaleString();
const by = (version: FileVersion) => (version.Author ? ` by ${version.Author}` : "");

/** Put a version's content into the open document, as an edit that others see, and save it. */
async function restore(context: Context, text: string): Promise<void> {
  if (isNotebook(context)) context.model.fromJSON(JSON.parse(text));
  else context.model.fromString(text);
  await context.save();
}

const SAID: Record<Mark, string> = { same: "", gone: "Only in this version", new: "Only in the notebook now", changed: "Changed since" };

/** What became another, line by line. */
function Lines({ lines }: { lines: NonNullable<ComparedCell["lines"]> }) {
  const sign: Record<Mark, string> = { same: " ", gone: "-", new: "+", changed: "~" };
  return (
    <pre className="emrs-lines">
      {lines.map((line, index) => (
        <div key={index} data-mark={line.mark}>{`${sign[line.mark]} ${line.text}`}</div>
      ))}
    </pre>
  );
}

async function drawn(cell: ComparedCell, rendermime: IRenderMimeRegistry): Promise<Widget> {
  const box = new Panel();
  box.addClass("emrs-cell");
  box.node.dataset["mark"] = cell.mark;
  const said = [SAID[cell.mark], cell.outputs ? "Its outputs differ" : ""].filter(Boolean).join(". ");
  if (said) {
    const label = new Widget();
    label.node.textContent = said;
    label.addClass("emrs-mark");
    box.addWidget(label);
  }
  if (cell.mark === "changed" && cell.lines) {
    box.addWidget(ReactWidget.create(<Lines lines={cell.lines} />));
    return box;
  }
  const renderer = rendermime.createRenderer("text/markdown");
  const text = cell.kind === "code" ? `\`\`\`\`python\n${cell.source}\n\`\`\`\`` : cell.source;
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
  const cells = await api.compareVersions(text, context.model.toString(), isNotebook(context));
  const content = new Panel();
  content.addClass("emrs-preview");
  const changed = cells.filter((one) => one.mark !== "same").length;
  content.addWidget(
    ReactWidget.create(
      <div className="emrs-preview-head">
        <span className="emrs-grow">
          {context.path} as it was saved at {when(version)}
          {by(version)}: {changed === 0 ? "the same cells as now" : `${changed} cells differ from now`}. Outputs
          are not shown; restoring brings them back.
        </span>
        <RestoreButton context={context} version={version} />
      </div>,
    ),
  );
  for (const one of cells) content.addWidget(await drawn(one, rendermime));
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
              {when(version)}
              {by(version)} <span className="emrs-quiet">{bytes(version.Size)}</span>
            </span>
            <button
              className="jp-mod-styled emrs-button"
              aria-label={`Compare with ${when(version)}`}
              disabled={busy}
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
