/** Notebook examples: read one as it is, then save a copy of it to the Workspace. */
import { MainAreaWidget } from "@jupyterlab/apputils";
import type { INotebookContent } from "@jupyterlab/nbformat";
import type { IRenderMimeRegistry } from "@jupyterlab/rendermime";
import { MimeModel } from "@jupyterlab/rendermime";
import type { Contents } from "@jupyterlab/services";
import { ReactWidget } from "@jupyterlab/ui-components";
import { Panel } from "@lumino/widgets";
import * as React from "react";
import * as api from "./api";
import { examplesIcon } from "./icons";
import { Empty, Failure, useAttempt, useOnce } from "./panel";
import type { ExampleSummary } from "./types";

/** The whole notebook as Markdown: it is to be read, not run. */
export function asMarkdown(notebook: INotebookContent): string {
  const language = String(notebook.metadata.language_info?.name ?? "");
  return notebook.cells
    .map((cell) => {
      const source = Array.isArray(cell.source) ? cell.source.join("") : cell.source;
      return cell.cell_type === "code" ? `\`\`\`\`${language}\n${source}\n\`\`\`\`` : source;
    })
    .join("\n\n");
}

/** `name.ipynb`, or `name-1.ipynb` and so on where that is taken. */
export async function freeName(contents: Contents.IManager, name: string): Promise<string> {
  const taken = new Set(((await contents.get("")).content as Contents.IModel[]).map((file) => file.name));
  const stem = name.replace(/\.ipynb$/, "");
  for (let number = 0; ; number += 1) {
    const candidate = number === 0 ? `${stem}.ipynb` : `${stem}-${number}.ipynb`;
    if (!taken.has(candidate)) return candidate;
  }
}

/** Put a copy into the Workspace's home folder; its path. */
export async function saveExample(contents: Contents.IManager, name: string): Promise<string> {
  const [content, path] = [await api.readExample(name), await freeName(contents, name)];
  await contents.save(path, { type: "notebook", format: "json", content });
  return path;
}

function SaveButton({ name, save }: { name: string; save: (name: string) => Promise<void> }) {
  const [attempt, { busy, failure }] = useAttempt();
  return (
    <>
      <button
        className="jp-mod-styled emrs-button"
        disabled={busy}
        title={`Put a copy of ${name} into the Workspace's home folder and open it`}
        onClick={() => attempt(() => save(name))}
      >
        Save to Workspace
      </button>
      <Failure text={failure} />
    </>
  );
}

/** A tab that shows an example and cannot change it. */
export async function makePreview(
  example: ExampleSummary,
  rendermime: IRenderMimeRegistry,
  save: (name: string) => Promise<void>,
): Promise<MainAreaWidget> {
  const notebook = (await api.readExample(example.name)) as INotebookContent;
  const renderer = rendermime.createRenderer("text/markdown");
  await renderer.renderModel(new MimeModel({ data: { "text/markdown": asMarkdown(notebook) } }));
  const head = ReactWidget.create(
    <div className="emrs-preview-head">
      <span className="emrs-grow">Read-only example. Save a copy to the Workspace to run and change it.</span>
      <SaveButton name={example.name} save={save} />
    </div>,
  );
  const content = new Panel();
  content.addClass("emrs-preview");
  content.addWidget(head);
  content.addWidget(renderer);
  const widget = new MainAreaWidget({ content });
  widget.id = `emr-studio-example-${example.name}`;
  widget.title.label = `Example: ${example.title}`;
  widget.title.caption = "A read-only preview";
  widget.title.icon = examplesIcon;
  widget.title.closable = true;
  return widget;
}

interface Props {
  preview: (example: ExampleSummary) => Promise<void>;
  save: (name: string) => Promise<void>;
}

export function Examples({ preview, save }: Props) {
  const [found, setFound] = React.useState<ExampleSummary[]>();
  const [attempt, { failure }] = useAttempt();
  const read = () => attempt(async () => setFound(await api.listExamples()));
  useOnce(read);
  if (!found) return failure ? <Failure text={failure} retry={read} /> : <p>Loading…</p>;
  if (found.length === 0) return <Empty title="There are no examples here" />;
  return (
    <>
      <ul className="emrs-list" aria-label="Notebook examples">
        {found.map((example) => (
          <li key={example.name} className="emrs-example">
            <p className="emrs-strong">{example.title}</p>
            <p className="emrs-quiet">{example.description}</p>
            <div className="emrs-tools">
              <button
                className="jp-mod-styled emrs-button"
                aria-label={`Preview ${example.title}`}
                title="Show it in a tab, read-only"
                onClick={() => attempt(() => preview(example))}
              >
                Preview
              </button>
              <SaveButton name={example.name} save={save} />
            </div>
          </li>
        ))}
      </ul>
      <Failure text={failure} />
    </>
  );
}
