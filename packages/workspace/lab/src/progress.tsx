/** How far Spark is with what a cell asked for; one line when it is done. */
import * as React from "react";
import { type Progress, progressLine, type Stage } from "./progressLine";
import { SparkUi } from "./sparkUi";

/** Whether somebody unfolded the stages, by the display's id: JupyterLab draws a display that was updated as a new one. */
const unfolded = new Map<string, boolean>();

function StageRow({ stage }: { stage: Stage }) {
  return (
    <tr data-state={stage.state}>
      <th scope="row">Stage {stage.id}</th>
      <td>{stage.name}</td>
      <td>
        <progress value={stage.done} max={Math.max(stage.tasks, 1)} aria-label={`Tasks of stage ${stage.id}`} />
      </td>
      <td>
        {stage.done} of {stage.tasks}
        {stage.failed > 0 && <span className="emrs-warning"> {stage.failed} failed</span>}
      </td>
    </tr>
  );
}

export function SparkProgress({ progress }: { progress: Progress }) {
  const running = progress.state === "running";
  const [done, all] = progress.tasks;
  const { id } = progress;
  return (
    <div className="emrs-progress" data-state={progress.state}>
      <div className="emrs-tools">
        <span>{progressLine(progress)}</span>
        {running && <progress value={done} max={Math.max(all, 1)} aria-label="Tasks of this cell" />}
        {progress.ui && <SparkUi page={progress.ui} />}
      </div>
      {progress.reason && <pre className="emrs-failure">{progress.reason}</pre>}
      {progress.shown.length > 0 && (
        <details
          open={unfolded.get(id ?? "") ?? !running}
          onToggle={(event) => {
            if (id) unfolded.set(id, event.currentTarget.open);
          }}
        >
          <summary>Stages</summary>
          <table>
            <tbody>
              {progress.shown.map((stage) => (
                <StageRow key={stage.id} stage={stage} />
              ))}
            </tbody>
          </table>
        </details>
      )}
    </div>
  );
}
