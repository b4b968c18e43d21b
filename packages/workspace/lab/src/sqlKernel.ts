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

/** Whoever asked wants no answer any more; what Spark did for it is stopped. */
export class Cancelled extends SqlError {}

export interface RunOptions {
  /** Aborted: the statement is interrupted, at once or as soon as its turn comes. */
  signal?: AbortSignal;
  /** The kernel has begun with it: no other one is before it. */
  onBegin?: () => void;
}

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

const AGAIN_MS = 1000;

/** Again and again: one may come before the kernel listens, or be caught by what runs. None hits what comes after. */
async function interrupt(kernel: Kernel.IKernelConnection, ended: Promise<unknown>): Promise<void> {
  let over = false;
  const end = ended.then(() => (over = true));
  while (!over) {
    await kernel.interrupt().catch(() => undefined);
    await Promise.race([end, new Promise((resolve) => setTimeout(resolve, AGAIN_MS))]);
  }
}

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
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly services: ServiceManager.IManager) {}

  /** Forget the session: its cluster was detached, which ended it. */
  forget(): void {
    this.session = undefined;
    this.last = Promise.resolve();
  }

  async databases(): Promise<string[]> {
    return (await this.tell("[d.name for d in spark.catalog.listDatabases()]")) as string[];
  }

  async tables(database: string): Promise<Table[]> {
    const row = '{"name": t.name, "type": t.tableType, "temporary": t.isTemporary}';
    return (await this.tell(`[${row} for t in spark.catalog.listTables(${literal(database)})]`)) as Table[];
  }

  async columns(database: string, table: string): Promise<Column[]> {
    const place = `${literal(table)}, ${literal(database)}`;
    const row = '{"name": c.name, "type": c.dataType}';
    return (await this.tell(`[${row} for c in spark.catalog.listColumns(${place})]`)) as Column[];
  }

  /** Run one statement; at most `limit` rows come back. */
  async run(statement: string, limit: number, options: RunOptions = {}): Promise<Rows> {
    return (await this.execute(`_emr_studio_rows(${literal(statement)}, ${limit})  # spark`, options)) as Rows;
  }

  private tell(expression: string): Promise<unknown> {
    return this.execute(`_emr_studio_tell(${expression})`);
  }

  /** One after the other: what waits here can be cancelled without a word to the kernel. */
  private execute(code: string, options: RunOptions = {}): Promise<unknown> {
    const { signal } = options;
    let begun = false;
    const onBegin = () => {
      begun = true;
      options.onBegin?.();
    };
    const answer = this.last.then(() => this.ask(code, { ...options, onBegin }));
    this.last = answer.catch(() => undefined);
    const given = new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => {
        if (!begun) reject(new Cancelled("Cancelled before it began."));
      });
    });
    return Promise.race([answer, given]);
  }

  private async ask(code: string, { signal, onBegin }: RunOptions): Promise<unknown> {
    if (signal?.aborted) throw new Cancelled("Cancelled before it began.");
    const kernel = await this.kernel();
    let told: unknown;
    let begun = false;
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    let interrupting: Promise<void> | undefined;
    const future = kernel.requestExecute({ code, store_history: false, stop_on_error: false });
    // An interrupt hits what the kernel is at: while that is another page's statement, this one's turn is waited for.
    const stop = () => {
      if (begun) interrupting ??= interrupt(kernel, ended);
    };
    signal?.addEventListener("abort", stop);
    future.onIOPub = (message) => {
      const content = message.content as Partial<KernelMessage.IDisplayDataMsg["content"] & KernelMessage.IStatusMsg["content"]>;
      if (content.data && MIME in content.data) told = content.data[MIME];
      // An interrupt that hits the kernel's own work around a statement leaves it without a reply.
      if (content.execution_state === "idle" && interrupting) end();
      if (content.execution_state !== "busy" || begun) return;
      begun = true;
      onBegin?.();
      if (signal?.aborted) stop();
    };
    try {
      const reply = (await Promise.race([future.done, ended]))?.content;
      if (!reply) throw new Cancelled("Cancelled.");
      if (reply.status === "ok") return told;
      if (signal?.aborted) throw new Cancelled("Cancelled.");
      throw new SqlError(reply.status === "error" ? plainError(reply) : "The statement was cancelled.");
    } finally {
      signal?.removeEventListener("abort", stop);
      end();
      await interrupting;
    }
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
