/**
 * The SQL explorer's own session on the attached cluster: a PySpark kernel as notebooks have, shown
 * among the running kernels, in which catalog and statements are asked for. So what the explorer sees
 * is what a notebook would see, with the same role.
 */
import type { Kernel, KernelMessage, ServiceManager, Session } from "@jupyterlab/services";

const PATH = "SQL explorer";
export const PYSPARK = "pysparkkernel";
const MIME = "application/vnd.emr-studio.rows+json";

export interface Table {
  name: string;
  type: string;
  temporary: boolean;
}
export interface Column {
  name: string;
  type: string;
}
export interface Rows {
  columns: string[];
  rows: (string | null)[][];
  /** There are more than were asked for. */
  more: boolean;
}

/** A statement, or the catalog, was refused by Spark; the message is Spark's. */
export class SqlError extends Error {}

// `spark` is what makes the kernel wait for its session; all names are its own, out of anybody's way.
const HELPERS = `
def _emr_studio_tell(value):
    from IPython.display import display
    display({"${MIME}": value}, raw=True)

def _emr_studio_rows(statement, limit):
    found = spark.sql(statement)
    columns = found.columns
    rows = found.limit(limit + 1).collect() if columns else []
    text = [[None if value is None else str(value) for value in row] for row in rows[:limit]]
    _emr_studio_tell({"columns": columns, "rows": text, "more": len(rows) > limit})
`;

/** A Python literal of any text: JSON's escapes are Python's too. */
export function literal(text: string): string {
  return JSON.stringify(text);
}

/** Spark's own message without its stack: the first lines of `evalue`. */
export function plainError(content: KernelMessage.IReplyErrorContent): string {
  const text = content.evalue.split(/\n\s*(?:JVM stacktrace|== Physical|at org\.)/)[0] ?? "";
  return text.trim().slice(0, 2000) || content.ename;
}

export class SqlKernel {
  private session: Promise<Session.ISessionConnection> | undefined;

  constructor(private readonly services: ServiceManager.IManager) {}

  /** Forget the session: its cluster was detached, which ended it. */
  forget(): void {
    this.session = undefined;
  }

  async databases(): Promise<string[]> {
    return (await this.ask("[d.name for d in spark.catalog.listDatabases()]")) as string[];
  }

  async tables(database: string): Promise<Table[]> {
    const row = '{"name": t.name, "type": t.tableType, "temporary": t.isTemporary}';
    return (await this.ask(`[${row} for t in spark.catalog.listTables(${literal(database)})]`)) as Table[];
  }

  async columns(database: string, table: string): Promise<Column[]> {
    const place = `${literal(table)}, ${literal(database)}`;
    const row = '{"name": c.name, "type": c.dataType}';
    return (await this.ask(`[${row} for c in spark.catalog.listColumns(${place})]`)) as Column[];
  }

  /** Run one statement; at most `limit` rows come back. */
  async run(statement: string, limit: number): Promise<Rows> {
    return (await this.execute(`_emr_studio_rows(${literal(statement)}, ${limit})  # spark`)) as Rows;
  }

  async interrupt(): Promise<void> {
    await (await this.session)?.kernel?.interrupt();
  }

  private ask(expression: string): Promise<unknown> {
    return this.execute(`_emr_studio_tell(${expression})`);
  }

  private async execute(code: string): Promise<unknown> {
    const kernel = await this.kernel();
    let told: unknown;
    const future = kernel.requestExecute({ code, store_history: false, stop_on_error: false });
    future.onIOPub = (message) => {
      const content = message.content as Partial<KernelMessage.IDisplayDataMsg["content"]>;
      if (content.data && MIME in content.data) told = content.data[MIME];
    };
    const reply = (await future.done).content;
    if (reply.status === "error") throw new SqlError(plainError(reply));
    if (reply.status !== "ok") throw new SqlError("The statement was cancelled.");
    return told;
  }

  private async kernel(): Promise<Kernel.IKernelConnection> {
    this.session ??= this.connect();
    try {
      const { kernel } = await this.session;
      if (kernel && kernel.status !== "dead" && !kernel.isDisposed) return kernel;
    } catch (error) {
      this.session = undefined;
      throw error;
    }
    this.session = this.connect();
    return this.kernel();
  }

  /** The session that an earlier load of this page began, or a new one. */
  private async connect(): Promise<Session.ISessionConnection> {
    const { sessions } = this.services;
    await sessions.refreshRunning();
    for (const model of sessions.running()) {
      if (model.path === PATH && model.kernel) return this.prepared(sessions.connectTo({ model }));
    }
    const options = { path: PATH, name: PATH, type: "console", kernel: { name: PYSPARK } };
    return this.prepared(await sessions.startNew(options));
  }

  private async prepared(session: Session.ISessionConnection): Promise<Session.ISessionConnection> {
    await session.kernel?.requestExecute({ code: HELPERS, store_history: false }).done;
    return session;
  }
}
