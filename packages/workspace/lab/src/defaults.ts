/** The defaults that a JSON schema has, as JSON schema validators put them into a value (`useDefaults`). */
type Json = unknown;
export type Fields = Record<string, Json>;

function isFields(value: Json): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function copy(value: Json): Json {
  return value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as Json);
}

/** The schema that `schema` refers to inside `root`, or `schema` itself. */
function referred(schema: Fields, root: Fields): Fields {
  const to = schema["$ref"];
  if (typeof to !== "string" || !to.startsWith("#/")) return schema;
  let found: Json = root;
  for (const step of to.slice(2).split("/")) found = isFields(found) ? found[step] : undefined;
  return isFields(found) && found !== schema ? referred(found, root) : schema;
}

/** Put the defaults of `schema` into `value` where it lacks them. */
export function fill(value: Json, schema: Fields, root: Fields = schema): void {
  const rules = referred(schema, root);
  for (const also of Array.isArray(rules["allOf"]) ? rules["allOf"] : []) if (isFields(also)) fill(value, also, root);
  if (Array.isArray(value)) {
    const items = rules["items"];
    if (isFields(items)) value.forEach((one) => fill(one, items, root));
    return;
  }
  if (!isFields(value)) return;
  const properties = isFields(rules["properties"]) ? rules["properties"] : {};
  for (const [name, property] of Object.entries(properties)) {
    if (!isFields(property)) continue;
    if (value[name] === undefined && property["default"] !== undefined) value[name] = copy(property["default"]);
  }
  for (const [name, inner] of Object.entries(value)) {
    const property = properties[name] ?? rules["additionalProperties"];
    if (isFields(property)) fill(inner, property, root);
  }
}
