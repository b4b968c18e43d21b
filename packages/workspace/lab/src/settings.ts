/**
 * JupyterLab's settings without a wait: its own registry compiles three programs for each of a hundred schemas before
 * anything is shown. Of a schema that was shipped, while the user has set nothing, only the defaults are wanted, and
 * those can be read from it. What a user has set is validated by JupyterLab's own validator.
 */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { PageConfig } from "@jupyterlab/coreutils";
import { DefaultSchemaValidator, ISettingConnector, ISettingRegistry, type ISchemaValidator, SettingRegistry } from "@jupyterlab/settingregistry";
import { type Fields, fill } from "./defaults";

/** Trusts what was shipped; asks JupyterLab's own validator about what a user has set. */
export class TrustingValidator implements ISchemaValidator {
  private strict: DefaultSchemaValidator | undefined;

  validateData(plugin: ISettingRegistry.IPlugin, populate = true): ISchemaValidator.IError[] | null {
    if (plugin.raw.trim() !== "{}" || plugin.schema.type !== "object") return this.whole.validateData(plugin, populate);
    const composite: Fields = {};
    fill(composite, plugin.schema as unknown as Fields);
    if (populate) plugin.data = { composite, user: {} } as ISettingRegistry.ISettingBundle;
    return null;
  }

  private get whole(): DefaultSchemaValidator {
    return (this.strict ??= new DefaultSchemaValidator());
  }
}

/** What the page is given once it is restored: plugins that came late, or that change their schema first. */
async function loadTheRest(app: JupyterFrontEnd, connector: ISettingConnector, registry: SettingRegistry): Promise<void> {
  const { ids } = await (connector as unknown as { list(query: string): Promise<{ ids: string[] }> }).list("ids");
  const wanted = ids.filter((id) => app.hasPlugin(id) && !PageConfig.Extension.isDisabled(id) && !(id in registry.plugins));
  for (const id of wanted) await registry.load(id).catch((reason: unknown) => console.warn(`Settings failed to load for (${id})`, reason));
}

/** In the place of `@jupyterlab/apputils-extension:settings`, which `page_config.json` switches off. */
export const settings: JupyterFrontEndPlugin<ISettingRegistry> = {
  id: "emr-studio-lab:settings",
  description: "Provides the setting registry.",
  autoStart: true,
  provides: ISettingRegistry,
  requires: [ISettingConnector],
  activate: async (app: JupyterFrontEnd, connector: ISettingConnector) => {
    const found = await (connector as unknown as { list(query: string): Promise<{ values: ISettingRegistry.IPlugin[] }> }).list("active");
    const plugins = found.values.filter((plugin) => app.hasPlugin(plugin.id));
    const registry = new SettingRegistry({ connector, plugins, validator: new TrustingValidator() });
    void app.restored.then(() => loadTheRest(app, connector, registry));
    return registry;
  },
};
