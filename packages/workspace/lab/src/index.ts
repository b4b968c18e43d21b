/** Open EMR Studio in JupyterLab: panels in the side bars, and what the status bar says. */
import { ILabShell, ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, ISessionContextDialogs, Notification } from "@jupyterlab/apputils";
import { ICompletionProviderManager, IInlineCompleterFactory } from "@jupyterlab/completer";
import { PageConfig } from "@jupyterlab/coreutils";
import { IDocumentManager } from "@jupyterlab/docmanager";
import { ILauncher } from "@jupyterlab/launcher";
import type { DocumentRegistry } from "@jupyterlab/docregistry";
import { INotebookTracker, type NotebookPanel } from "@jupyterlab/notebook";
import { IRenderMimeRegistry } from "@jupyterlab/rendermime";
import { IStatusBar } from "@jupyterlab/statusbar";
import { type LabIcon, ReactWidget } from "@jupyterlab/ui-components";
import * as React from "react";
import { BackupPanel } from "./backup";
import { Collaboration } from "./collaboration";
import { Compute } from "./compute";
import { neverInConflict } from "./conflicts";
import { Examples, makePreview, saveExample } from "./examples";
import { FirstPages } from "./firstPage";
import { stopLine } from "./format";
import { backupIcon, collaborationIcon, computeIcon, examplesIcon, repositoriesIcon, sqlIcon } from "./icons";
import { StudioPanel } from "./panel";
import { Repositories } from "./repositories";
import { addRenderers } from "./results";
import { SqlExplorer } from "./sql";
import { settings } from "./settings";
import { PYSPARK } from "./sqlKernel";
import { type First, SqlTabs } from "./sqlTabs";
import { StudioState } from "./state";
import { Suggestions } from "./suggestions";
import { makeVersionTab, VersionList, type VersionProps } from "./versions";
import { signIn, StatusItems } from "./statusbar";

const PREFIX = "emr-studio";
/** After JupyterLab's own file browser, running kernels and Git. */
const RANK = 310;

class Studio {
  readonly state = new StudioState();
  private readonly sql: SqlTabs;
  private clusterId: string | undefined;
  private status: string | undefined;
  private warnedOf: number | undefined;
  private signedOut: string | undefined;
  private unattached: string | undefined;
  private mayCollaborate = false;
  private last: DocumentRegistry.Context | undefined;

  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly shell: ILabShell,
    private readonly documents: IDocumentManager,
    private readonly rendermime: IRenderMimeRegistry,
    private readonly notebooks: INotebookTracker,
    private readonly restorer: ILayoutRestorer | null,
    private readonly launcher: ILauncher | null,
    private readonly palette: ICommandPalette | null,
  ) {
    this.sql = new SqlTabs(app.serviceManager, this.state, (widget) => this.show(widget));
    this.addCompute();
    this.addSql();
    this.addBackup();
    this.addExamples();
    this.addRepositories();
    this.addCommands();
    void app.restored.then(() => this.nameApart());
    this.notebooks.widgetAdded.connect((_, panel) => this.onNotebook(panel));
    this.state.changed.connect(() => this.onChange());
    this.shell.layoutModified.connect(() => this.contexts().forEach((context) => neverInConflict(context, app.serviceManager.contents)));
  }

  open(panel: string): void {
    this.shell.activateById(`${PREFIX}-${panel}`);
  }

  private addCompute(): void {
    const body = () => React.createElement(Compute, { state: this.state });
    const caption = "Compute: the cluster that runs this Workspace's notebooks";
    const panel = this.add("compute", "Compute", caption, computeIcon, RANK, body, () => this.state.refreshClusters());
    this.state.watched = () => panel.isVisible;
  }

  private addSql(): void {
    const { sql } = this;
    const openEditor = (preview?: string) => void sql.open(preview ? { statement: preview, run: true } : {});
    const body = () => React.createElement(SqlExplorer, { state: this.state, catalog: sql.catalog, openEditor });
    this.add("sql", "SQL explorer", "SQL explorer: databases and tables of the attached cluster", sqlIcon, RANK + 1, body);
    const command = `${PREFIX}:open-sql`;
    const execute = (args: object) => sql.open((args as { first?: First }).first);
    this.offer(command, "SQL Editor", "Open SQL Editor", "Ask the attached cluster with SQL, in a tab", sqlIcon, execute);
    void this.restorer?.restore(sql.tracker, { command, args: (widget) => ({ first: sql.firstOf(widget) }) as never, name: (widget) => widget.id });
  }

  private addBackup(): void {
    const saveAll = () => void this.app.commands.execute("docmanager:save-all");
    const show: VersionProps["show"] = async (context, version) =>
      this.show(await makeVersionTab(context, version, this.rendermime));
    const body = () => {
      // Asked for while somebody looks: a hidden panel asks nothing.
      const versions = panel.isVisible ? React.createElement(VersionList, { key: shown, context: this.document(), show }) : React.createElement("p");
      return React.createElement(BackupPanel, { state: this.state, unsaved: () => this.unsaved(), saveAll, versions });
    };
    let shown = 0;
    const onShow = () => {
      shown += 1;
      panel.update();
    };
    this.shell.currentChanged.connect(() => panel.update());
    const caption = "Backup: what of this Workspace is in S3, and earlier versions";
    const panel = this.add("backup", "Backup", caption, backupIcon, RANK + 2, body, onShow);
  }

  private addExamples(): void {
    const save = async (name: string) => {
      const path = await saveExample(this.app.serviceManager.contents, name);
      this.documents.openOrReveal(path);
    };
    const preview = async (example: Parameters<typeof makePreview>[0]) => {
      const id = `emr-studio-example-${example.name}`;
      if ([...this.shell.widgets("main")].some((widget) => widget.id === id)) return this.shell.activateById(id);
      this.show(await makePreview(example, this.rendermime, save));
    };
    const body = () => React.createElement(Examples, { preview, save });
    this.add("examples", "Notebook examples", "Notebook examples: read them, save a copy", examplesIcon, RANK + 3, body);
  }

  private addRepositories(): void {
    let shown = 0;
    // The list is asked for each time that somebody comes to look; a hidden panel asks nothing.
    const body = () => (shown ? React.createElement(Repositories, { shown, state: this.state }) : React.createElement("p"));
    const onShow = () => {
      shown += 1;
      panel.update();
    };
    const caption = "Git repositories: link those of the account with this Workspace";
    const panel = this.add("repositories", "Git repositories", caption, repositoriesIcon, RANK - 1, body, onShow);
  }

  /** jupyter-collaboration has a panel "Collaboration" too: of those who have a document open now. */
  private nameApart(): void {
    const theirs = [...this.shell.widgets("left")].find((widget) => widget.id === "jp-collaboration-panel");
    if (theirs) theirs.title.caption = "People: who is here now, and in which document";
  }

  /** Only those see it who may do all that it offers. */
  private addCollaboration(): void {
    const body = () => React.createElement(Collaboration, { state: this.state });
    const caption = "Collaboration: who else may work in this Workspace";
    this.add("collaboration", "Collaboration", caption, collaborationIcon, RANK + 4, body);
    this.command("collaboration", "Collaboration", collaborationIcon);
  }

  private add(...[id, title, caption, icon, rank, body, onShow]: PanelArguments): StudioPanel {
    const panel = new StudioPanel(this.state, { id: `${PREFIX}-${id}`, title, caption, icon, body, onShow });
    this.shell.add(panel, "left", { rank, type: "EMR Studio" });
    this.restorer?.add(panel, panel.id);
    return panel;
  }

  private addCommands(): void {
    this.command("compute", "Compute", computeIcon);
    this.command("sql", "SQL Explorer", sqlIcon);
    this.command("backup", "Backup", backupIcon);
    this.command("examples", "Notebook Examples", examplesIcon);
    this.command("repositories", "Git Repositories", repositoriesIcon);
  }

  /** A panel, in the palette and on the launcher's page. */
  private command(id: string, label: string, icon: LabIcon): void {
    this.offer(`${PREFIX}:show-${id}`, label, `Show ${label}`, `Show the panel ${label} of EMR Studio`, icon, () => this.open(id));
  }

  private offer(command: string, name: string, label: string, caption: string, icon: LabIcon, execute: (args: object) => unknown): void {
    this.app.commands.addCommand(command, {
      label: (args) => (args["isLauncher"] ? name : label),
      caption,
      icon: (args) => (args["isPalette"] ? undefined : icon),
      execute,
    });
    this.palette?.addItem({ command, category: "EMR Studio", args: { isPalette: true } });
    this.launcher?.add({ command, category: "EMR Studio", args: { isLauncher: true } });
  }

  private show(widget: Parameters<ILabShell["add"]>[0]): void {
    if (!widget.isAttached) this.shell.add(widget, "main");
    this.shell.activateById(widget.id);
  }

  /** The document in front, or the last that was. */
  private document(): DocumentRegistry.Context | undefined {
    const { currentWidget } = this.shell;
    const context = currentWidget ? this.documents.contextForWidget(currentWidget) : undefined;
    if (context) this.last = context;
    return this.last?.isDisposed ? undefined : this.last;
  }

  /** All documents that are open. */
  private contexts(): DocumentRegistry.Context[] {
    return [...this.shell.widgets("main")].flatMap((widget) => this.documents.contextForWidget(widget) ?? []);
  }

  private unsaved(): string[] {
    return this.contexts().flatMap((context) => (context.model.dirty ? [context.path] : []));
  }

  private onChange(): void {
    const { editor, about } = this.state;
    if (about.value?.MayCollaborate && !this.mayCollaborate) {
      this.mayCollaborate = true;
      this.addCollaboration();
    }
    this.onSession();
    this.onCompute(editor.value?.Status, this.state.clusterId);
    const stop = editor.value?.IdleStopTime;
    if (stop && stop !== this.warnedOf) {
      this.warnedOf = stop;
      Notification.warning(`This Workspace is idle. ${stopLine(stop, new Date())}.`, { autoClose: false });
    }
  }

  /** A session ends by itself (a laptop that slept): said once, and taken back when it is over. */
  private onSession(): void {
    if (this.state.isSignedOut && this.signedOut === undefined) {
      this.signedOut = Notification.error(
        "Your session has ended. Sign in again: what is open here stays.",
        { autoClose: false, actions: [{ label: "Sign in again", caption: "Opens a tab", displayType: "accent", callback: signIn }] },
      );
    } else if (!this.state.isSignedOut && this.signedOut !== undefined) {
      Notification.dismiss(this.signedOut);
      this.signedOut = undefined;
      Notification.success("You are signed in again.", { autoClose: 4000 });
    }
  }

  /** Without compute no kernel is tried: the notebook is there to be written in, and what to do is said beside it. */
  private onNotebook(panel: NotebookPanel): void {
    const isKnown = this.state.editor.value !== undefined;
    const attached = isKnown ? this.state.clusterId : PageConfig.getOption("emrStudioCluster");
    if (attached) return;
    const { sessionContext } = panel.context;
    const prefer = (shouldStart: boolean) => {
      sessionContext.kernelPreference = { ...sessionContext.kernelPreference, shouldStart };
    };
    prefer(false);
    // Whoever runs a cell later is told at once that there is nothing to run it.
    void sessionContext.ready.then(() => prefer(true));
    if (this.unattached !== undefined) return;
    const action = { label: "Compute", caption: "Opens the panel Compute", displayType: "accent" as const, callback: () => this.open("compute") };
    this.unattached = Notification.error(
      "This Workspace is not attached to a cluster. Notebooks can be edited; attach one to run them.",
      { autoClose: false, actions: [action] },
    );
  }

  /** Another cluster: what it can run is asked for at once, and no session of the old one is used again. */
  private onCompute(status: string | undefined, clusterId: string | undefined): void {
    if (status === this.status && clusterId === this.clusterId) return;
    const before = this.status;
    this.status = status;
    this.clusterId = clusterId;
    this.sql.forget();
    if (before === undefined) return;
    if (status === "Attached") {
      if (this.unattached !== undefined) Notification.dismiss(this.unattached);
      this.unattached = undefined;
      Notification.success(`Attached to ${this.state.cluster?.Name ?? clusterId}.`, { autoClose: 4000 });
      void this.giveKernel();
    } else if (status === "Ready" && before === "Attached" && !this.state.busy.startsWith("Switch")) {
      Notification.success("Detached. Files and layout stay; cells run again once a cluster is attached.", { autoClose: 4000 });
    }
  }

  /** The notebook that is looked at can be run at once; the others get a kernel when it is chosen. */
  private async giveKernel(): Promise<void> {
    const { kernels, kernelspecs, sessions } = this.app.serviceManager;
    // Sessions that ended with their cluster are then known to be over, and not asked for another kernel.
    await Promise.all([kernelspecs.refreshSpecs(), kernels.refreshRunning(), sessions.refreshRunning()]);
    const context = this.notebooks.currentWidget?.sessionContext;
    const id = context?.session?.kernel?.id;
    if (!context || [...kernels.running()].some((kernel) => kernel.id === id)) return;
    await context.changeKernel({ name: context.kernelPreference.name ?? PYSPARK });
  }
}

type PanelArguments = [
  id: string,
  title: string,
  caption: string,
  icon: LabIcon,
  rank: number,
  body: () => React.JSX.Element,
  onShow?: () => void,
];

const plugin: JupyterFrontEndPlugin<void> = {
  id: "emr-studio-lab:plugin",
  description: "Compute, collaboration, backup, examples and SQL of an EMR Studio Workspace.",
  autoStart: true,
  requires: [ILabShell, IDocumentManager, IRenderMimeRegistry, INotebookTracker],
  optional: [IStatusBar, ILayoutRestorer, ILauncher, ICommandPalette, ICompletionProviderManager, IInlineCompleterFactory],
  activate: (
    app: JupyterFrontEnd,
    shell: ILabShell,
    documents: IDocumentManager,
    rendermime: IRenderMimeRegistry,
    notebooks: INotebookTracker,
    bar: IStatusBar | null,
    restorer: ILayoutRestorer | null,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    completions: ICompletionProviderManager | null,
    factory: IInlineCompleterFactory | null,
  ) => {
    const studio = new Studio(app, shell, documents, rendermime, notebooks, restorer, launcher, palette);
    const { state } = studio;
    if (completions && factory) new Suggestions({ app, shell, notebooks, state, completions, factory, bar, palette });
    const items = React.createElement(StatusItems, { state: studio.state, open: (panel: string) => studio.open(panel) });
    const item = ReactWidget.create(items);
    item.addClass("emrs-statusbar");
    bar?.registerStatusItem("emr-studio-lab:status", { item, align: "left", rank: 3 });
  },
};

/** By itself, so that it is there before the first notebook opens. */
const results: JupyterFrontEndPlugin<void> = {
  id: "emr-studio-lab:results",
  description: "Tables with charts, the Spark session and Spark's progress in notebooks.",
  autoStart: true,
  requires: [IRenderMimeRegistry],
  activate: (_app: JupyterFrontEnd, rendermime: IRenderMimeRegistry) => addRenderers(rendermime),
};

/** By itself, and early: whoever types while this page loads is not to wait for the panels. */
const firstPage: JupyterFrontEndPlugin<void> = {
  id: "emr-studio-lab:first-page",
  description: "Carries what was typed before JupyterLab stood into the notebook.",
  autoStart: true,
  requires: [ILabShell, INotebookTracker],
  optional: [ISessionContextDialogs],
  activate: (app: JupyterFrontEnd, shell: ILabShell, notebooks: INotebookTracker, dialogs: ISessionContextDialogs | null) => {
    new FirstPages(app, shell, notebooks, dialogs);
  },
};

export default [settings, plugin, results, firstPage];
