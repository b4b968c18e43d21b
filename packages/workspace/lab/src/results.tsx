/** What the magics of our kernels show in a notebook: a table with charts, the Spark session, Spark's progress. */
import { type IRenderMimeRegistry, MimeModel } from "@jupyterlab/rendermime";
import { ReactWidget } from "@jupyterlab/ui-components";
import { MessageLoop } from "@lumino/messaging";
import { Widget } from "@lumino/widgets";
import * as React from "react";
import { type Chart, CHARTS, type Choice, firstChoice, specification, SUMMARIES, type Summary, type Table, VEGA_LITE } from "./charts";
import { SparkProgress } from "./progress";
import type { Progress } from "./progressLine";
import { RowsTable } from "./rowsTable";
import { SparkUi, type SparkPage } from "./sparkUi";

interface Session {
  facts: [name: string, value: string][];
  ui: SparkPage | "";
}

type Model = Parameters<ReturnType<IRenderMimeRegistry["createRenderer"]>["renderModel"]>[0];

/** An output of one kind; a new value of it is drawn in its place. */
class Result<T> extends ReactWidget {
  private value: T | undefined;

  constructor(
    private readonly mime: string,
    private readonly body: (value: T) => React.JSX.Element,
  ) {
    super();
    this.addClass("emrs-result");
  }

  async renderModel(model: Model): Promise<void> {
    this.value = model.data[this.mime] as T;
    this.update();
    await this.renderPromise;
  }

  protected override render(): React.JSX.Element {
    return this.value === undefined ? <></> : this.body(this.value);
  }
}

/** JupyterLab's own Vega in a place of React's. */
function Drawn({ table, choice, rendermime }: { table: Table; choice: Choice; rendermime: IRenderMimeRegistry }) {
  const place = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    const host = place.current;
    if (!host?.isConnected) return;
    const renderer = rendermime.createRenderer(VEGA_LITE);
    const metadata = { [VEGA_LITE]: { embed_options: { actions: false, renderer: "svg" } } };
    Widget.attach(renderer, host);
    void renderer.renderModel(new MimeModel({ data: { [VEGA_LITE]: specification(table, choice) as never }, metadata, trusted: true }));
    return () => {
      if (renderer.isAttached && host.isConnected) Widget.detach(renderer);
      else MessageLoop.sendMessage(renderer, Widget.Msg.AfterDetach);
      renderer.dispose();
    };
  }, [table, choice, rendermime]);
  return <div className="emrs-chart" role="img" aria-label={`${choice.chart} chart`} ref={place} />;
}

interface SelectProps<V extends string | number> {
  label: string;
  value: V;
  options: readonly (readonly [value: V, name: string])[];
  choose: (value: string) => void;
}

function Select<V extends string | number>({ label, value, options, choose }: SelectProps<V>) {
  return (
    <label>
      {label}{" "}
      <select value={value} onChange={(event) => choose(event.target.value)}>
        {options.map(([one, name]) => (
          <option key={one} value={one}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Axes({ table, choice, change }: { table: Table; choice: Choice; change: (part: Partial<Choice>) => void }) {
  const columns = table.columns.map((column, index) => [index, column.name] as const);
  const numbers = columns.filter(([index]) => table.columns[index]?.kind === "number");
  return (
    <div className="emrs-tools">
      <Select
        label={choice.chart === "Pie" ? "Slices" : "X"}
        value={choice.x}
        options={columns}
        choose={(value) => change({ x: Number(value) })}
      />
      <Select
        label={choice.chart === "Pie" ? "Size" : "Y"}
        value={choice.y}
        options={numbers.length ? numbers : columns}
        choose={(value) => change({ y: Number(value) })}
      />
      {choice.chart !== "Scatter" && (
        <Select
          label="Summary"
          value={choice.summary}
          options={SUMMARIES.map((summary) => [summary, summary] as const)}
          choose={(value) => change({ summary: value as Summary })}
        />
      )}
    </div>
  );
}

function TableAndCharts({ table, rendermime }: { table: Table; rendermime: IRenderMimeRegistry }) {
  const [choice, setChoice] = React.useState(() => firstChoice(table));
  const [shown, setShown] = React.useState<"Table" | Chart>("Table");
  const change = (part: Partial<Choice>) => setChoice({ ...choice, ...part });
  const show = (what: "Table" | Chart) => {
    if (what !== "Table") change({ chart: what });
    setShown(what);
  };
  return (
    <>
      <div className="emrs-tools" role="toolbar" aria-label="Show as">
        {(["Table", ...CHARTS] as const).map((what) => (
          <button key={what} className="jp-mod-styled emrs-button" aria-pressed={shown === what} onClick={() => show(what)}>
            {what}
          </button>
        ))}
      </div>
      {shown === "Table" ? (
        <RowsTable columns={table.columns} rows={table.rows} label="Rows" nothing="null" />
      ) : (
        <>
          <Axes table={table} choice={choice} change={change} />
          <Drawn table={table} choice={choice} rendermime={rendermime} />
        </>
      )}
      <p className="emrs-quiet">
        {table.more ? `The first ${table.rows.length} rows; there are more.` : `${table.rows.length} rows`}
      </p>
    </>
  );
}

function SessionFacts({ session }: { session: Session }) {
  return (
    <>
      <table>
        <tbody>
          {session.facts.map(([name, value]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {session.ui && <SparkUi page={session.ui} />}
    </>
  );
}

/** Let notebooks show them. */
export function addRenderers(rendermime: IRenderMimeRegistry): void {
  const add = <T,>(name: string, body: (value: T) => React.JSX.Element) => {
    const mime = `application/vnd.emr-studio.${name}+json`;
    // Before HTML, which stands beside it for other pages.
    rendermime.addFactory({ safe: true, mimeTypes: [mime], createRenderer: () => new Result(mime, body) }, -10);
  };
  add<Table>("table", (table) => <TableAndCharts table={table} rendermime={rendermime} />);
  add<Session>("session", (session) => <SessionFacts session={session} />);
  add<Progress>("spark-progress", (progress) => <SparkProgress progress={progress} />);
}
