import type { DocumentRegistry } from "@jupyterlab/docregistry";
import type { Contents, ServiceManager } from "@jupyterlab/services";

/** What JupyterLab's `Context` does when the file is newer than what this page knows of it (4.6; not in its interface). */
interface Saving {
  _raiseConflict?: (found: Contents.IModel, options: Partial<Contents.IModel>) => Promise<Contents.IModel>;
  _contentProviderId?: string;
}

const followed = new WeakSet<object>();

/**
 * A save of a document that the Workspace's server owns is in conflict with nothing.
 *
 * The server writes the file itself, a second after each change, and merges what others write into it. Between its write and
 * the word of it in this page a save by hand finds a file that is "newer", and JupyterLab asks whether to overwrite it or to
 * lose what was typed. Nothing is to be asked: the save goes to the server, which has the document.
 */
export function neverInConflict(context: DocumentRegistry.Context, contents: ServiceManager.IManager["contents"]): void {
  const saving = context as unknown as Saving;
  const ask = saving._raiseConflict?.bind(context);
  if (!ask || followed.has(context)) return;
  followed.add(context);
  saving._raiseConflict = async (found, options) => {
    if (!context.model.collaborative) return ask(found, options);
    const saved = await contents.save(context.path, { ...options, contentProviderId: saving._contentProviderId });
    return { ...saved, hash: found.hash, hash_algorithm: found.hash_algorithm };
  };
}
