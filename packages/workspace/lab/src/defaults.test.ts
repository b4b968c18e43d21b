import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { type Fields, fill } from "./defaults";

const KEY = { type: "object", properties: { command: { type: "string" }, disabled: { type: "boolean", default: false } } };
const SCHEMA = {
  type: "object",
  properties: {
    size: { type: "number", default: 13 },
    none: { type: "string" },
    keys: { type: "array", items: { $ref: "#/definitions/key" }, default: [{ command: "run" }, { command: "stop", disabled: true }] },
    font: { type: "object", default: { name: "mono" }, properties: { weight: { type: "number", default: 400 } } },
    each: { type: "object", default: { py: {}, sql: { command: "x" } }, additionalProperties: { $ref: "#/definitions/key" } },
    lone: { type: "object", properties: { inner: { type: "number", default: 1 } } },
    both: { default: {}, allOf: [{ $ref: "#/definitions/key" }, { type: "object" }] },
  },
  additionalProperties: false,
  definitions: { key: KEY },
};

function filled(schema: Fields): Fields {
  const value: Fields = {};
  fill(value, schema);
  return value;
}

describe("the defaults of a schema", () => {
  it("are those that the validator of JupyterLab puts in", () => {
    const theirs = {};
    expect(new Ajv({ useDefaults: true, strict: false }).compile(SCHEMA)(theirs)).toBe(true);
    expect(filled(SCHEMA)).toEqual(theirs);
    expect(filled(SCHEMA)).toMatchObject({ size: 13, font: { name: "mono", weight: 400 } });
  });

  it("are not shared between two values", () => {
    expect(filled(SCHEMA)["keys"]).not.toBe(filled(SCHEMA)["keys"]);
  });
});
