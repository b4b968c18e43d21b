/** Rows as charts: what JupyterLab's own Vega draws, without a network. */

export type Kind = "number" | "time" | "text";
export type Value = string | number | boolean | null;

/** What `%%sql` and `%%display` show (`emr_studio_cluster.magics.tables`). */
export interface Table {
  columns: { name: string; kind: Kind }[];
  rows: Value[][];
  more: boolean;
}

export const CHARTS = ["Bar", "Line", "Area", "Scatter", "Pie"] as const;
export type Chart = (typeof CHARTS)[number];
export const SUMMARIES = ["sum", "mean", "min", "max", "count", "none"] as const;
export type Summary = (typeof SUMMARIES)[number];

export interface Choice {
  chart: Chart;
  /** Index of a column. */
  x: number;
  /** As `x`; its numbers are drawn. */
  y: number;
  summary: Summary;
}

export const VEGA_LITE = "application/vnd.vegalite.v5+json";
const MARKS: Record<Chart, object> = {
  Bar: { type: "bar", tooltip: true },
  Line: { type: "line", point: true, tooltip: true },
  Area: { type: "area", line: true, tooltip: true },
  Scatter: { type: "point", filled: true, tooltip: true },
  Pie: { type: "arc", tooltip: true },
};

/** Something that can be looked at at once: names or times to the right, the first other numbers upwards. */
export function firstChoice(table: Table): Choice {
  const kinds = table.columns.map((column) => column.kind);
  const named = kinds.findIndex((kind) => kind !== "number");
  const x = Math.max(named, 0);
  const other = kinds.findIndex((kind, index) => kind === "number" && index !== x);
  return other < 0 ? { chart: "Bar", x, y: x, summary: "count" } : { chart: "Bar", x, y: other, summary: "sum" };
}

/** Any name is a column's: Vega would read dots and brackets in it as a path, so its place stands for it. */
const key = (index: number) => `c${index}`;

function horizontal({ chart, x }: Choice, { columns }: Table): object {
  const { kind = "text", name = "" } = columns[x] ?? {};
  if (kind === "time") return { field: key(x), type: "temporal", title: name };
  if (kind === "number" && chart !== "Bar") return { field: key(x), type: "quantitative", title: name };
  return { field: key(x), type: "ordinal", title: name, sort: null, axis: { labelOverlap: true } };
}

function vertical({ chart, y, summary }: Choice, { columns }: Table): object {
  const name = columns[y]?.name ?? "";
  // Each point of a scatter is a row.
  if (summary === "none" || chart === "Scatter") return { field: key(y), type: "quantitative", title: name };
  if (summary === "count") return { aggregate: "count", type: "quantitative", title: "rows" };
  return { aggregate: summary, field: key(y), type: "quantitative", title: `${summary} of ${name}` };
}

/** The chart in the words of Vega-Lite. */
export function specification(table: Table, choice: Choice): object {
  const values = table.rows.map((row) => Object.fromEntries(row.map((value, index) => [key(index), value])));
  const upwards = vertical(choice, table);
  const colour = { field: key(choice.x), type: "nominal", title: table.columns[choice.x]?.name ?? "", sort: null };
  const encoding =
    choice.chart === "Pie" ? { theta: { ...upwards, stack: true }, color: colour } : { x: horizontal(choice, table), y: upwards };
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v5.json",
    width: choice.chart === "Pie" ? 300 : 560,
    height: 300,
    autosize: { type: "fit", contains: "padding" },
    description: `${choice.chart} chart of ${table.rows.length} rows`,
    data: { values },
    mark: MARKS[choice.chart],
    encoding,
  };
}
