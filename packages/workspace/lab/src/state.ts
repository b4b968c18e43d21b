/** What the panels and the status bar know, asked for again and again while the page is seen. */
import { Poll } from "@lumino/polling";
import { type ISignal, Signal } from "@lumino/signaling";
import * as api from "./api";
import { ATTACHABLE, type Described, LIVE } from "./clusters";
import { ApiError, messageOf } from "./errors";
import { isUnderWay } from "./links";
import type { About, Cluster, Editor, ServerStatus, SqlSupport } from "./types";

const OFTEN = 1_500;
const SELDOM = 15_000;
const BACKUP = 3_000;
/** The list of clusters while nobody looks at it: for its name in the status bar. */
const RARELY = 180_000;
const MOST_DESCRIBED = 25;

/** A value, or why there is none. */
export interface Known<T> {
  value?: T;
  error?: string;
  /** HTTP status of the error; 0: there was no answer. */
  status?: number;
}

/** Panels with something to attempt. */
export type Area = "compute" | "collaboration";

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export class StudioState {
  readonly about: Known<About> = {};
  readonly editor: Known<Editor> = {};
  readonly server: Known<ServerStatus> = {};
  readonly clusters: Known<Described[]> = {};
  /** Of the compute that is attached now; asked for at each change of it. */
  sql: Known<SqlSupport> = {};
  /** What is under way ("Detaching"), and what the last attempt came to. */
  busy = "";
  failures: Partial<Record<Area, string>> = {};

  /** Does somebody look at the list of clusters? */
  watched = () => false;

  private readonly _changed = new Signal<this, void>(this);
  private readonly polls: Poll[];
  private readonly editorPoll: Poll;
  private readonly clusterPoll: Poll;
  private readonly details = new Map<string, Cluster>();

  constructor() {
    const standby = "when-hidden" as const;
    const every = (name: string, interval: number, factory: () => Promise<void>) =>
      new Poll({ name: `emr-studio:${name}`, standby, factory, frequency: { interval, backoff: true, max: 60_000 } });
    this.editorPoll = every("workspace", SELDOM, () => this.readEditor());
    this.clusterPoll = every("clusters", SELDOM, () => this.readClusters());
    this.polls = [
      this.editorPoll,
      this.clusterPoll,
      every("about", SELDOM, () => this.read(this.about, api.about)),
      every("backup", BACKUP, () => this.read(this.server, api.serverStatus)),
    ];
    // Whoever has signed in again in another tab comes back here.
    window.addEventListener("focus", () => {
      if (this.isSignedOut) void this.refresh();
    });
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The session has ended: nothing is answered until the user has signed in again, in any tab. */
  get isSignedOut(): boolean {
    return [this.about, this.editor, this.server].some((known) => known.status === 401);
  }

  /** The cluster that this Workspace is, or is being, attached to. */
  get cluster(): Described | undefined {
    const id = this.clusterId;
    return this.clusters.value?.find((cluster) => cluster.Id === id);
  }

  get clusterId(): string | undefined {
    return this.editor.value?.ExecutionEngine?.Id;
  }

  /** The runtime role that the Workspace is attached with: then it is its user's alone. */
  get roleArn(): string | undefined {
    return this.editor.value?.ExecutionEngine?.ExecutionRoleArn;
  }

  /** All that the kind of SQL support hangs on. */
  private get compute(): string {
    return [this.editor.value?.Status, this.clusterId, this.roleArn].join(" ");
  }

  /** Whether SQL can be asked now. */
  get hasSql(): boolean {
    return this.sql.value?.Available === true;
  }

  async readSql(): Promise<void> {
    const compute = this.compute;
    this.sql = {};
    const found: Known<SqlSupport> = {};
    // What goes wrong is kept, with its message.
    await this.read(found, api.sqlSupport).catch(() => undefined);
    if (compute !== this.compute) return;
    this.sql = found;
    this._changed.emit();
  }

  refresh(): Promise<unknown> {
    return Promise.all(this.polls.map((poll) => poll.refresh()));
  }

  refreshClusters(): void {
    void this.clusterPoll.refresh();
  }

  /** Attach, after a detach if another cluster is attached. */
  async attach(clusterId: string, roleArn = ""): Promise<void> {
    const attached = this.editor.value?.Status === "Attached";
    await this.attempt("compute", attached ? "Switching" : "Attaching", async () => {
      if (attached) {
        await api.detach();
        await this.until((editor) => editor.Status === "Ready");
      }
      await api.attach(clusterId, roleArn);
      await this.until((editor) => editor.Status !== "Attaching");
      const reason = this.editor.value?.StateChangeReason?.Message;
      if (this.editor.value?.Status !== "Attached" && reason) throw new Error(reason);
    });
  }

  async detach(): Promise<void> {
    await this.attempt("compute", "Detaching", async () => {
      await api.detach();
      await this.until((editor) => editor.Status === "Ready");
    });
  }

  async setCollaboration(on: boolean): Promise<void> {
    await this.attempt("collaboration", on ? "Turning collaboration on" : "Turning collaboration off", async () => {
      await api.setCollaboration(on);
      await this.editorPoll.refresh();
    });
  }

  private async attempt(area: Area, what: string, work: () => Promise<void>): Promise<void> {
    this.busy = what;
    this.failures = { ...this.failures, [area]: "" };
    this._changed.emit();
    try {
      await work();
    } catch (error) {
      this.failures = { ...this.failures, [area]: messageOf(error) };
    }
    this.busy = "";
    await Promise.allSettled([this.readEditor(), this.readClusters()]);
    this._changed.emit();
  }

  /** Ask until the Workspace is so; it is for whoever calls to stop the waiting by what she asks for. */
  private async until(reached: (editor: Editor) => boolean): Promise<void> {
    for (;;) {
      await this.readEditor();
      const editor = this.editor.value;
      if (editor && (reached(editor) || ["Idle", "Stopping", "Deleting"].includes(editor.Status))) return;
      await sleep(300);
    }
  }

  private async readEditor(): Promise<void> {
    const [cluster, compute] = [this.clusterId, this.compute];
    await this.read(this.editor, api.describeEditor);
    if (this.clusterId !== cluster) this.refreshClusters();
    if (this.compute !== compute) void this.readSql();
    const linking = this.editor.value?.Repositories?.some((link) => isUnderWay(link.Status));
    const between = this.editor.value?.Status === "Attaching" || linking;
    this.editorPoll.frequency = { ...this.editorPoll.frequency, interval: between ? OFTEN : SELDOM };
  }

  private async readClusters(): Promise<void> {
    await this.read(this.clusters, async () => {
      const [found, unfit] = await Promise.all([api.listClusters(LIVE), api.unfitClusters()]);
      await Promise.all(found.slice(0, MOST_DESCRIBED).map((cluster) => this.describe(cluster.Id)));
      return found.map((cluster) => {
        const reason = unfit[cluster.Id];
        return { ...this.details.get(cluster.Id), ...cluster, ...(reason ? { unfit: reason } : {}) };
      });
    });
    const coming = this.clusters.value?.some((cluster) => !ATTACHABLE.includes(cluster.Status.State));
    const interval = this.watched() ? (coming ? OFTEN : SELDOM) : RARELY;
    this.clusterPoll.frequency = { ...this.clusterPoll.frequency, interval, max: Math.max(interval, 60_000) };
  }

  /** Release and applications never change; without DescribeCluster the list goes without. */
  private async describe(id: string): Promise<void> {
    if (this.details.has(id)) return;
    try {
      this.details.set(id, await api.describeCluster(id));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  private async read<T>(known: Known<T>, ask: () => Promise<T>): Promise<void> {
    const before = JSON.stringify(known);
    try {
      known.value = await ask();
      delete known.error;
      delete known.status;
    } catch (error) {
      known.status = error instanceof ApiError ? error.status : 0;
      // What was known stays to be seen, with why it may be old.
      known.error = messageOf(error);
      throw error;
    } finally {
      if (JSON.stringify(known) !== before) this._changed.emit();
    }
  }
}
