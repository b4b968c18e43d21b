/** Git repositories: the operations of the control plane, as the user who is signed in. */
import { all, call } from "./api";
import type { Repository } from "./types";

export const listRepositories = () => all<"Repositories", Repository>("ListRepositories", "Repositories");
export const createRepository = (name: string, url: string, branch: string, secretArn: string) =>
  call("CreateRepository", { RepositoryName: name, GitUrl: url, Branch: branch, ...(secretArn ? { SecretArn: secretArn } : {}) });
/** Other credentials; an empty ARN for none. */
export const updateRepository = (name: string, secretArn: string) =>
  call("UpdateRepository", { RepositoryName: name, SecretArn: secretArn });
export const deleteRepository = (name: string) => call("DeleteRepository", { RepositoryName: name });
export const linkRepository = (name: string) => call("LinkRepository", { RepositoryName: name });
export const unlinkRepository = (name: string) => call("UnlinkRepository", { RepositoryName: name });
/** A new secret in Secrets Manager, whose value this page cannot read again; its ARN. */
export const createSecret = async (name: string, username: string, password: string) =>
  (await call<{ ARN: string }>("secret", { Name: name, Username: username, Password: password })).ARN;
