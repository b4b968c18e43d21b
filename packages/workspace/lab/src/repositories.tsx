/** Git repositories: registered for the account, linked with this Workspace (emr-studio.md 8). */
import * as React from "react";
import { CredentialFields, Field, isComplete, NONE, secretArn } from "./credentials";
import { linkLabel, MOST_LINKED, secretName, takesPlace } from "./links";
import { Empty, Failure, useAttempt } from "./panel";
import * as api from "./repositoriesApi";
import type { StudioState } from "./state";
import type { LinkedRepository, Repository } from "./types";

/** Runs work whose end changes what is shown. */
type Change = (work: () => Promise<unknown>) => void;

interface Shared {
  busy: boolean;
  change: Change;
}

function Linked({ link, busy, change }: { link: LinkedRepository } & Shared) {
  const name = link.RepositoryName;
  const under = link.Status === "Linking" || link.Status === "Unlinking";
  return (
    <li className="emrs-row emrs-repository" data-status={link.Status}>
      <div className="emrs-grow">
        <span className="emrs-strong">{name}</span> <span className="emrs-badge">{linkLabel(link.Status)}</span>
      </div>
      <div className="emrs-buttons">
        {link.Status === "LinkFailed" && (
          <button
            className="jp-mod-styled emrs-button"
            disabled={busy}
            aria-label={`Link ${name} again`}
            title="Try once more"
            onClick={() => change(() => api.linkRepository(name))}
          >
            Try again
          </button>
        )}
        <button
          className="jp-mod-styled emrs-button"
          disabled={busy || under}
          aria-label={`Unlink ${name}`}
          title={under ? "Wait until that is done" : "Take its credentials away; the files stay"}
          onClick={() => change(() => api.unlinkRepository(name))}
        >
          Unlink
        </button>
      </div>
      {link.StateChangeReason && <p className="emrs-quiet emrs-warning emrs-wide">{link.StateChangeReason}</p>}
    </li>
  );
}

function EditCredentials({ name, busy, change }: { name: string } & Shared) {
  const [credentials, setCredentials] = React.useState(NONE);
  const save = (event: React.FormEvent) => {
    event.preventDefault();
    change(async () => {
      await api.updateRepository(name, await secretArn(credentials));
      setCredentials(NONE);
    });
  };
  return (
    <details className="emrs-wide">
      <summary title="Git uses the new ones from the next pull or push on" aria-label={`Edit the credentials of ${name}`}>
        Edit credentials
      </summary>
      <form className="emrs-form" onSubmit={save}>
        <CredentialFields id={`emrs-edit-${name}`} value={credentials} onChange={setCredentials} />
        <button className="jp-mod-styled emrs-button" type="submit" disabled={busy || !isComplete(credentials)} title={`Save the credentials of ${name}`}>
          Save
        </button>
      </form>
    </details>
  );
}

interface RowProps extends Shared {
  repository: Repository;
  why: string;
  linked: boolean;
}

function Row({ repository, why, linked, busy, change }: RowProps) {
  const [sure, setSure] = React.useState(false);
  const name = repository.RepositoryName;
  return (
    <li className="emrs-row emrs-repository">
      <div className="emrs-grow">
        <span className="emrs-strong">{name}</span> <span className="emrs-badge">{repository.Branch}</span>
        <p className="emrs-quiet">{repository.GitUrl}</p>
        <p className="emrs-quiet">{repository.SecretArn ? `Secret ${secretName(repository.SecretArn)}` : "Public"}</p>
      </div>
      <div className="emrs-buttons">
        {!linked && (
          <button
            className="jp-mod-styled emrs-button"
            disabled={busy || Boolean(why)}
            aria-label={`Link ${name}`}
            title={why || `Clone ${repository.Branch} into the folder ${name}`}
            onClick={() => change(() => api.linkRepository(name))}
          >
            Link
          </button>
        )}
        <button
          className="jp-mod-styled emrs-button"
          disabled={busy}
          aria-label={sure ? `Really delete ${name}` : `Delete ${name}`}
          title="Delete the registration, for all Studios; it must be linked nowhere. Its secret stays."
          onClick={() => (sure ? change(() => api.deleteRepository(name)) : setSure(true))}
          onBlur={() => setSure(false)}
        >
          {sure ? "Really delete?" : "Delete"}
        </button>
      </div>
      <EditCredentials name={name} busy={busy} change={change} />
    </li>
  );
}

function Register({ busy, change }: Shared) {
  const empty = { name: "", url: "", branch: "main" };
  const [fields, setFields] = React.useState(empty);
  const [credentials, setCredentials] = React.useState(NONE);
  const set = (part: Partial<typeof empty>) => setFields({ ...fields, ...part });
  const register = (event: React.FormEvent) => {
    event.preventDefault();
    change(async () => {
      await api.createRepository(fields.name.trim(), fields.url.trim(), fields.branch.trim(), await secretArn(credentials));
      setFields(empty);
      setCredentials(NONE);
    });
  };
  const whole = Boolean(fields.name.trim() && fields.url.trim() && fields.branch.trim()) && isComplete(credentials);
  return (
    <details>
      <summary title="For all Studios of the account">Register a repository</summary>
      <form className="emrs-form" aria-label="Register a repository" onSubmit={register}>
        <Field
          id="emrs-repository-name"
          label="Name"
          title="Letters, digits, hyphens and underscores; the folder's name"
          value={fields.name}
          onChange={(name) => set({ name })}
        />
        <Field
          id="emrs-repository-url"
          label="Git URL"
          title="HTTPS, without a user or password"
          placeholder="https://github.com/owner/name.git"
          value={fields.url}
          onChange={(url) => set({ url })}
        />
        <Field
          id="emrs-repository-branch"
          label="Branch"
          title="It must exist; it is checked out"
          value={fields.branch}
          onChange={(branch) => set({ branch })}
        />
        <CredentialFields id="emrs-repository" value={credentials} onChange={setCredentials} />
        <button className="jp-mod-styled emrs-button" type="submit" disabled={busy || !whole} title="Register it for all Studios of the account">
          Register
        </button>
      </form>
    </details>
  );
}

/** `shown`: another number each time that somebody comes to look. */
export function Repositories({ state, shown }: { state: StudioState; shown: number }) {
  const [known, setKnown] = React.useState<Repository[]>();
  const [said, setSaid] = React.useState("");
  const [attempt, { busy, failure }] = useAttempt();
  const read = async () => setKnown(await api.listRepositories());
  const change: Change = (work) => {
    setSaid("");
    attempt(async () => {
      await work();
      setSaid("Done.");
      await Promise.all([read(), state.refresh()]);
    });
  };
  const look = React.useRef(() => attempt(read));
  React.useEffect(() => look.current(), [shown]);
  const links = state.editor.value?.Repositories ?? [];
  const held = links.filter((link) => takesPlace(link.Status));
  const why = held.length >= MOST_LINKED ? `${MOST_LINKED} repositories are linked; unlink one first` : "";
  return (
    <>
      <h3 className="emrs-heading">
        Linked with this Workspace ({held.length} of {MOST_LINKED})
      </h3>
      {links.length === 0 && <Empty title="No repository is linked">Link one below: it is cloned into a folder of its name.</Empty>}
      <ul className="emrs-list" aria-label="Linked repositories" aria-live="polite">
        {links.map((link) => (
          <Linked key={link.RepositoryName} link={link} busy={busy} change={change} />
        ))}
      </ul>
      <h3 className="emrs-heading">Repositories of the account</h3>
      {known?.length === 0 && <Empty title="No repository is registered">Register one: all Studios of the account have it then.</Empty>}
      {!known && !failure && <p>Loading repositories…</p>}
      <ul className="emrs-list" aria-label="Repositories">
        {known?.map((repository) => {
          const linked = held.some((link) => link.RepositoryName === repository.RepositoryName);
          return <Row key={repository.RepositoryName} {...{ repository, why, linked, busy, change }} />;
        })}
      </ul>
      <Register busy={busy} change={change} />
      <Failure text={failure} retry={known ? undefined : () => attempt(read)} />
      <p className="emrs-quiet" role="status">
        {failure ? "" : said}
      </p>
    </>
  );
}
