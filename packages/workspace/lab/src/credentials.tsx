/** Which credentials a Git repository has: none, a secret that there is, or a new one. */
import * as React from "react";
import { createSecret } from "./repositoriesApi";

export type Kind = "none" | "existing" | "password" | "token";

export interface Credentials {
  kind: Kind;
  arn: string;
  secretName: string;
  username: string;
  password: string;
}

export const NONE: Credentials = { kind: "none", arn: "", secretName: "", username: "", password: "" };

const CHOICES: [Kind, string, string][] = [
  ["none", "Public, without credentials", "Git asks for nothing"],
  ["existing", "A secret that there is", "In AWS Secrets Manager, as JSON with gitUsername and gitPassword"],
  ["password", "User name and password", "A new secret is made of them"],
  ["token", "Personal access token", "A new secret is made of it"],
];

/** Whether all is there that the choice needs. */
export function isComplete({ kind, arn, secretName, username, password }: Credentials): boolean {
  if (kind === "none") return true;
  if (kind === "existing") return Boolean(arn.trim());
  return Boolean(secretName.trim() && password && (kind === "token" || username.trim()));
}

/** The ARN that the choice comes to; makes the secret if it is a new one. */
export async function secretArn({ kind, arn, secretName, username, password }: Credentials): Promise<string> {
  if (kind === "none") return "";
  return kind === "existing" ? arn.trim() : createSecret(secretName.trim(), username.trim(), password);
}

interface FieldProps {
  id: string;
  label: string;
  title: string;
  value: string;
  type?: string;
  placeholder?: string;
  onChange: (value: string) => void;
}

export function Field({ id, label, title, value, type = "text", placeholder = "", onChange }: FieldProps) {
  return (
    <>
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="jp-mod-styled"
        type={type}
        autoComplete={type === "password" ? "new-password" : "off"}
        spellCheck={false}
        title={title}
        placeholder={placeholder}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </>
  );
}

export function CredentialFields({ id, value, onChange }: { id: string; value: Credentials; onChange: (value: Credentials) => void }) {
  const change = (part: Partial<Credentials>) => onChange({ ...value, ...part });
  return (
    <>
      <label htmlFor={`${id}-kind`}>Credentials</label>
      <select
        id={`${id}-kind`}
        className="jp-mod-styled"
        title="How Git signs in to the server"
        value={value.kind}
        onChange={(event) => change({ kind: event.target.value as Kind })}
      >
        {CHOICES.map(([kind, label, title]) => (
          <option key={kind} value={kind} title={title}>
            {label}
          </option>
        ))}
      </select>
      {value.kind === "existing" && (
        <Field
          id={`${id}-arn`}
          label="Secret's ARN"
          title="Tagged for-use-with-amazon-emr-managed-policies=true, so that the Studio may read it"
          placeholder="arn:aws:secretsmanager:…"
          value={value.arn}
          onChange={(arn) => change({ arn })}
        />
      )}
      {(value.kind === "password" || value.kind === "token") && (
        <>
          <Field
            id={`${id}-secret`}
            label="Name of the new secret (emr-studio-…)"
            title="It is made in AWS Secrets Manager, with the tags that the Studio needs"
            value={value.secretName}
            onChange={(secretName) => change({ secretName })}
          />
          {value.kind === "password" && (
            <Field id={`${id}-user`} label="User name" title="The Git server's" value={value.username} onChange={(username) => change({ username })} />
          )}
          <Field
            id={`${id}-password`}
            label={value.kind === "token" ? "Token" : "Password"}
            title="Goes to Secrets Manager, and is not shown again"
            type="password"
            value={value.password}
            onChange={(password) => change({ password })}
          />
        </>
      )}
    </>
  );
}
