/** What all panels share: how they look, listen and fail. */
import { ReactWidget, UseSignal } from "@jupyterlab/ui-components";
import type { LabIcon } from "@jupyterlab/ui-components";
import type { Message } from "@lumino/messaging";
import * as React from "react";
import { messageOf } from "./errors";
import type { StudioState } from "./state";

interface Options {
  id: string;
  title: string;
  caption: string;
  icon: LabIcon;
  body: () => React.JSX.Element;
  /** Told each time that somebody comes to look. */
  onShow?: () => void;
}

/** A side panel whose body is drawn again at each change of the state. */
export class StudioPanel extends ReactWidget {
  constructor(
    private readonly state: StudioState,
    private readonly options: Options,
  ) {
    super();
    this.id = options.id;
    this.title.icon = options.icon;
    this.title.caption = options.caption;
    this.addClass("emrs-side");
  }

  protected override render(): React.JSX.Element {
    const { title, body } = this.options;
    return (
      <section className="emrs-panel" aria-label={title}>
        <h2 className="emrs-title">{title}</h2>
        <UseSignal signal={this.state.changed}>{() => body()}</UseSignal>
      </section>
    );
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.options.onShow?.();
  }
}

/** An error, or nothing. */
export function Failure({ text, retry }: { text: string | undefined; retry?: () => void }) {
  if (!text) return null;
  return (
    <div className="emrs-failure" role="alert">
      <p>{text}</p>
      {retry && (
        <button className="jp-mod-styled emrs-button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: React.ReactNode }) {
  return (
    <div className="emrs-empty">
      <p className="emrs-strong">{title}</p>
      {children}
    </div>
  );
}

/** Run `work`; what goes wrong is kept as a message, and no second run begins before the first ends. */
export function useAttempt(): [(work: () => Promise<unknown>) => void, { busy: boolean; failure: string }] {
  const [shown, setShown] = React.useState({ busy: false, failure: "" });
  const attempt = (work: () => Promise<unknown>) => {
    if (shown.busy) return;
    setShown({ busy: true, failure: "" });
    work().then(
      () => setShown({ busy: false, failure: "" }),
      (error: unknown) => setShown({ busy: false, failure: messageOf(error) }),
    );
  };
  return [attempt, shown];
}

/** Do `work` when the component appears, once. */
export function useOnce(work: () => void): void {
  const first = React.useRef(work);
  React.useEffect(() => first.current(), []);
}
