/** Spark SQL for CodeMirror: colours, and completion of keywords, functions and the catalog's names. */
import {
  type Completion,
  type CompletionContext,
  type CompletionResult,
  type CompletionSource,
  completionStatus,
  ifNotIn,
  startCompletion,
} from "@codemirror/autocomplete";
import { keywordCompletionSource, schemaCompletionSource, SQLDialect, type SQLNamespace } from "@codemirror/lang-sql";
import { LanguageSupport } from "@codemirror/language";
import { EditorView, type ViewUpdate } from "@codemirror/view";
import { type Catalog, mentioned, spelled } from "./catalog";

const KEYWORDS =
  "add all alter analyze and anti any array as asc at between both by cache cascade case cast catalog catalogs change check clear " +
  "cluster clustered collate column columns comment commit compute constraint cost create cross cube current database databases " +
  "default delete delimited desc describe directory distinct distribute drop else end escape except exists explain extended " +
  "external extract false fetch fields filter first following for format formatted from full function functions global grant " +
  "group grouping having if ignore import in inner insert inpath intersect interval into is join last lateral left like limit " +
  "load local location map matched merge minus namespace natural no not null nulls of offset on only optimize or order outer over " +
  "overwrite partition partitioned partitions percent pivot preceding purge range recover refresh rename repair replace " +
  "restrict right rlike rollup row rows schema schemas select semi serde set sets show some sort stored struct table tables " +
  "tablesample tblproperties temporary terminated then to transform trim true truncate unbounded uncache union unique unpivot " +
  "update use using values view views when where window with";
const TYPES =
  "bigint binary boolean byte char date decimal double float int integer interval long numeric real short smallint string " +
  "timestamp timestamp_ltz timestamp_ntz tinyint varchar variant";
const FUNCTIONS =
  "abs approx_count_distinct array_agg array_contains avg bround ceil coalesce collect_list collect_set concat concat_ws corr count " +
  "count_if current_database current_date current_timestamp date_add date_diff date_format date_sub date_trunc datediff day " +
  "dense_rank element_at exp explode floor from_json from_unixtime get_json_object greatest hash hour ifnull initcap instr isnull " +
  "json_tuple lag last_day lead least length ln log lower lpad ltrim max max_by mean md5 median min min_by minute month months_between " +
  "named_struct nth_value ntile nullif nvl percent_rank percentile percentile_approx posexplode pow quarter rand rank regexp_extract " +
  "regexp_replace repeat reverse round row_number rpad rtrim second sequence sha2 size sort_array split sqrt stack std stddev " +
  "substr substring sum to_date to_json to_timestamp translate trunc try_cast try_divide typeof unix_timestamp upper uuid variance " +
  "weekofyear year";

export const SparkSQL = SQLDialect.define({
  keywords: KEYWORDS,
  types: TYPES,
  builtin: FUNCTIONS,
  backslashEscapes: true,
  doubleQuotedStrings: true,
  identifierQuotes: "`",
  caseInsensitiveIdentifiers: true,
});

/** Longer nobody waits for names: the cluster may be at work on a statement. */
const PATIENCE = 1500;

/** The names that are known, as CodeMirror wants them. */
export function namespace(catalog: Catalog): SQLNamespace {
  const databases: Record<string, Record<string, Completion[]>> = {};
  for (const [database, tables] of catalog.names) {
    const named: Record<string, Completion[]> = (databases[database] = {});
    for (const [table, columns] of tables) {
      named[table] = columns.map((column) => ({ label: column.name, apply: spelled(column.name), type: "property", detail: column.type }));
    }
  }
  return databases;
}

/** Columns of the tables that a statement mentions, where no name stands before. */
export function columnsAt(catalog: Catalog, context: CompletionContext): CompletionResult | null {
  const word = context.matchBefore(/[\w$]*/);
  if (!word || (word.from === word.to && !context.explicit)) return null;
  if (context.state.sliceDoc(Math.max(0, word.from - 1), word.from).match(/[.`'"]/)) return null;
  const options = new Map<string, Completion>();
  for (const { database, table } of mentioned(context.state.doc.toString(), catalog.current)) {
    for (const { name, type } of catalog.names.get(database)?.get(table) ?? []) {
      options.set(name, { label: name, apply: spelled(name), type: "property", detail: `${type} · ${table}`, boost: 1 });
    }
  }
  return options.size ? { from: word.from, options: [...options.values()], validFor: /^[\w$]*$/ } : null;
}

/** Whether the work has ended before nobody waits for it any longer. */
function waited(work: Promise<void>): Promise<boolean> {
  const impatient = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), PATIENCE));
  return Promise.race([work.then(() => true), impatient]);
}

/** Offers anew what became known after a list had been shown without it. */
export class LateNames {
  private dismissed = false;
  private planned = false;

  constructor(private readonly catalog: Catalog) {}

  /** A list that goes although nothing was typed was closed by somebody. */
  see(update: ViewUpdate): void {
    if (update.docChanged || update.selectionSet) this.dismissed = false;
    else if (completionStatus(update.startState) === "active" && completionStatus(update.state) === null) this.dismissed = true;
  }

  /** Once the work has ended, and if it has brought anything. */
  async offer(work: Promise<void>, { view, state, pos }: CompletionContext): Promise<void> {
    const before = this.catalog.learned;
    await work;
    if (!view || this.planned || this.catalog.learned === before) return;
    const stays = view.hasFocus && view.state.doc.eq(state.doc) && view.state.selection.main.head === pos;
    if (completionStatus(view.state) === null && (this.dismissed || !stays)) return;
    // Several lists waited for the same names.
    this.planned = true;
    setTimeout(() => {
      this.planned = false;
      startCompletion(view);
    });
  }
}

/** Completion by the catalog; what a statement mentions is asked for while it is typed. */
export function catalogSources(catalog: Catalog, possible: () => boolean, late: LateNames): CompletionSource[] {
  const ready = async (context: CompletionContext) => {
    if (possible()) {
      const work = catalog.prepare(context.state.doc.toString());
      if (!(await waited(work))) void late.offer(work, context);
    }
    return !context.aborted;
  };
  return [
    async (context) => {
      if (!(await ready(context))) return null;
      const schema = namespace(catalog);
      return schemaCompletionSource({ dialect: SparkSQL, schema, defaultSchema: catalog.current })(context);
    },
    async (context) => ((await ready(context)) ? columnsAt(catalog, context) : null),
  ];
}

/** Keywords in capitals; functions and types as Spark's documentation writes them. */
const keywords = keywordCompletionSource(SparkSQL, false, (label, type) => {
  const text = type === "keyword" ? label.toUpperCase() : label;
  return { label: text, type: type === "variable" ? "function" : type, boost: -1 };
});

export function sparkSql(catalog: Catalog, possible: () => boolean): LanguageSupport {
  const late = new LateNames(catalog);
  const names = catalogSources(catalog, possible, late).map((source) => ifNotIn(["String", "LineComment", "BlockComment"], source));
  const sources = [keywords, ...names];
  return new LanguageSupport(SparkSQL.language, [
    ...sources.map((autocomplete) => SparkSQL.language.data.of({ autocomplete })),
    EditorView.updateListener.of((update) => late.see(update)),
  ]);
}
