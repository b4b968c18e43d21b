import { describe, expect, it } from "vitest";
import { registerClusterInput } from "../../api/emr";
import { isComplete, urlError } from "./RegisterCluster";

const FORM = { type: "JUPYTER_GATEWAY" as const, name: "n", url: "https://g.example.com/base", token: "", userName: "", password: "" };

describe("the form of a cluster from outside", () => {
  it("takes URLs without credentials", () => {
    for (const url of ["https://g", "http://10.1.2.3:8888/a/b", "http://[::1]:8888"]) expect(urlError(url, "LIVY")).toBe("");
    for (const url of ["", "g.example.com", "https://u:p@g", "https://g?token=x", "https://", "ftp://g"])
      expect(urlError(url, "JUPYTER_GATEWAY"), url).not.toBe("");
  });
  it("takes connection strings of Spark Connect", () => {
    const good = ["sc://g", "sc://g:15002/", "sc://10.1.2.3:1/;use_ssl=true", "sc://[::1]:1/;use_ssl=true;user_id=ana"];
    for (const url of good) expect(urlError(url, "SPARK_CONNECT"), url).toBe("");
    for (const url of ["https://g", "sc://", "sc://g/base", "sc://g/;use_ssl", "sc://u@g"])
      expect(urlError(url, "SPARK_CONNECT"), url).not.toBe("");
    expect(isComplete({ ...FORM, type: "SPARK_CONNECT", url: "sc://g" }, "none")).toBe(true);
    expect(isComplete({ ...FORM, type: "SPARK_CONNECT" }, "none")).toBe(false);
  });
  it("waits for the credentials that it asks for", () => {
    expect(isComplete(FORM, "none")).toBe(true);
    expect(isComplete(FORM, "token")).toBe(false);
    expect(isComplete({ ...FORM, token: "t" }, "token")).toBe(true);
    expect(isComplete({ ...FORM, userName: "u" }, "basic")).toBe(false);
    expect(isComplete({ ...FORM, userName: "u", password: "p" }, "basic")).toBe(true);
  });
  it("leaves out what is empty", () => {
    const base = { Name: "n", Type: "JUPYTER_GATEWAY", Url: FORM.url };
    expect(registerClusterInput(FORM)).toEqual(base);
    expect(registerClusterInput({ ...FORM, token: "t" })).toEqual({ ...base, Token: "t" });
    expect(registerClusterInput({ ...FORM, userName: "u", password: "p" })).toEqual({ ...base, UserName: "u", Password: "p" });
  });
});
