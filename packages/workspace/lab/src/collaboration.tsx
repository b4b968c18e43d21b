/** Collaboration: who else may work in this Workspace (emr-studio.md 6.4). */
import * as React from "react";
import * as api from "./api";
import { Empty, Failure, useAttempt, useOnce } from "./panel";
import type { StudioState } from "./state";
import type { Collaborator } from "./types";

const MOST = 5;

function People({ state }: { state: StudioState }) {
  const [people, setPeople] = React.useState<Collaborator[]>();
  const [name, setName] = React.useState("");
  const [attempt, { busy, failure }] = useAttempt();
  const read = async () => setPeople(await api.listCollaborators());
  const change = (work: () => Promise<unknown>) => attempt(() => work().finally(read));
  useOnce(() => attempt(read));
  const add = (event: React.FormEvent) => {
    event.preventDefault();
    change(async () => {
      await api.addCollaborator(name.trim());
      setName("");
    });
  };
  return (
    <>
      <h3 className="emrs-heading">
        Collaborators {people && `(${people.length + 1} of ${MOST} with the owner)`}
      </h3>
      {people?.length === 0 && <Empty title="Nobody was added">The Workspace is private: only its owner sees it.</Empty>}
      <ul className="emrs-list" aria-label="Collaborators">
        {people?.map((person) => (
          <li key={person.IdentityName} className="emrs-row">
            <span className="emrs-grow">{person.IdentityName}</span>
            <button
              className="jp-mod-styled emrs-button"
              disabled={busy}
              aria-label={`Remove ${person.IdentityName}`}
              title={`Remove ${person.IdentityName}, who is out within a second`}
              onClick={() => change(() => api.removeCollaborator(person.IdentityName))}
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
      <form className="emrs-form" onSubmit={add}>
        <label htmlFor="emrs-collaborator">Add a collaborator</label>
        <input
          id="emrs-collaborator"
          className="jp-mod-styled"
          value={name}
          placeholder="User name, or Role:Session"
          title="An IAM user name; or RoleName (all who assume it) or RoleName:SessionName. Of the owner's kind."
          onChange={(event) => setName(event.target.value)}
        />
        <button className="jp-mod-styled emrs-button" type="submit" disabled={busy || !name.trim()}>
          Add
        </button>
      </form>
      <Failure text={failure} />
      {state.about.value && <p className="emrs-quiet">Here now: {state.about.value.Here.join(", ")}</p>}
    </>
  );
}

export function Collaboration({ state }: { state: StudioState }) {
  const editor = state.editor.value;
  if (!editor) return state.editor.error ? <Failure text={state.editor.error} /> : <p>Loading…</p>;
  const on = editor.CollaborationEnabled === true;
  return (
    <>
      <label className="emrs-toggle" title="On: private to its owner and collaborators, who may work at the same time">
        <input
          type="checkbox"
          role="switch"
          checked={on}
          disabled={Boolean(state.busy) || Boolean(state.roleArn)}
          onChange={() => void state.setCollaboration(!on)}
        />
        Allow Workspace collaboration
      </label>
      {state.roleArn && <p className="emrs-warning">Not while it is attached with a runtime role: it is one person's alone.</p>}
      <p>
        {on
          ? "Only the owner and the collaborators see this Workspace; up to five may work in it at the same time."
          : "Everybody in the Studio sees this Workspace, and one person at a time works in it."}
      </p>
      <Failure text={state.failures.collaboration} />
      {on && <People state={state} />}
    </>
  );
}
