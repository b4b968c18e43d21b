import { autocompletion, CompletionContext, completionStatus } from "@codemirror/autocomplete";
import { EditorState, type TransactionSpec } from "@codemirror/state";
import type { EditorView } from "@codemirror/view";
import { describe, expect, it } from "vitest";
import { Catalog, type CatalogSource, changesCatalog, mentioned, quoted, spelled, usedBy } from "./catalog";
import { LateNames, sparkSql } from "./sqlLanguage";

class Known implements CatalogSource {
  asked: string[] = [];
  broken = false;

  async databases() {
    this.asked.push("databases");
    if (this.broken) throw new Error("no session");
    return ["default", "travel"];
  }

  async tables(database: string) {
    this.asked.push(database);
    const names = database === "travel" ? ["trips", "Odd Name"] : ["plain"];
    const view = { name: "view", type: "TEMPORARY", temporary: true };
    return [...names.map((name) => ({ name, type: "MANAGED", temporary: false })), view];
  }

  async columns(database: string, table: string) {
    this.asked.push(`${database}.${table}`);
    return [
      { name: "fare", type: "double" },
      { name: "rideId", type: "bigint" },
    ];
  }
}

async function offered(catalog: Catalog, text: string): Promise<string[]> {
  const place = text.indexOf("|");
  const state = EditorState.create({ doc: text.replace("|", ""), extensions: sparkSql(catalog, () => true) });
  const context = new CompletionContext(state, place, true);
  const sources = state.languageDataAt<(context: CompletionContext) => Promise<{ options: { label: string }[] } | null>>("autocomplete", place);
  const found = await Promise.all(sources.map((source) => source(context)));
  return found.flatMap((result) => result?.options.map((option) => option.label) ?? []);
}

/** As much of an editor as completion needs: there is no page here. */
class Editor {
  hasFocus = true;
  count = 0;
  dispatched: Promise<void>;
  private told: () => void;

  constructor(public state: EditorState) {
    [this.dispatched, this.told] = held();
  }

  dispatch(change: TransactionSpec): void {
    this.state = this.state.update(change).state;
    this.count += 1;
    this.told();
  }
}

function held(): [work: Promise<void>, end: () => void] {
  let end = () => {};
  return [new Promise<void>((resolve) => (end = resolve)), () => end()];
}

function lateNames(text: string) {
  const catalog = new Catalog(new Known());
  const place = text.indexOf("|");
  const extensions = [autocompletion(), sparkSql(catalog, () => true)];
  const state = EditorState.create({ doc: text.replace("|", ""), selection: { anchor: place }, extensions });
  const view = new Editor(state);
  const context = new CompletionContext(state, place, false, view as unknown as EditorView);
  return { catalog, view, context, late: new LateNames(catalog) };
}

describe("the catalog", () => {
  it("asks for each thing once, until it is forgotten", async () => {
    const source = new Known();
    const catalog = new Catalog(source);
    const [one, other] = await Promise.all([catalog.tables("travel"), catalog.tables("travel")]);
    expect(one).toBe(other);
    expect(one.map((table) => table.name)).toEqual(["trips", "Odd Name"]);
    expect(source.asked).toEqual(["travel"]);
    let told = 0;
    catalog.changed.connect(() => (told += 1));
    catalog.forget();
    await catalog.tables("travel");
    expect([told, source.asked]).toEqual([1, ["travel", "travel"]]);
  });

  it("asks again for what failed", async () => {
    const source = new Known();
    source.broken = true;
    const catalog = new Catalog(source);
    await expect(catalog.databases()).rejects.toThrow("no session");
    // While somebody types nothing fails.
    await catalog.prepare("SELECT 1 FROM plain");
    source.broken = false;
    expect(await catalog.databases()).toEqual(["default", "travel"]);
  });

  it("finds what a statement is about", () => {
    const statement = "SELECT * FROM `Odd``s`.t JOIN Trips AS b ON 1 = 1 WHERE from_x = 1; INSERT INTO travel . trips VALUES (1)";
    expect(mentioned(statement, "now")).toEqual([
      { database: "Odd`s", table: "t" },
      { database: "now", table: "trips" },
      { database: "travel", table: "trips" },
    ]);
    expect(mentioned("SELECT 1 FROM", "now")).toEqual([]);
  });

  it("knows which database a statement leads to, and spells names", () => {
    expect([usedBy("use Travel;"), usedBy(" USE DATABASE `A b`"), usedBy("SELECT 1")]).toEqual(["travel", "A b", undefined]);
    const changes = ["CREATE TABLE a AS SELECT 1", "-- mine\n/* and\nyours */ drop view a", "SELECT 'create'", "created", "-- drop a\nSELECT 1"];
    expect(changes.map(changesCatalog)).toEqual([true, true, false, false, false]);
    expect([spelled("trips"), spelled("rideId"), quoted("a`b")]).toEqual(["trips", "`rideId`", "`a``b`"]);
  });
});

describe("completion", () => {
  it("offers keywords, functions, databases and tables of the current one", async () => {
    const found = await offered(new Catalog(new Known()), "SEL|");
    expect(found).toEqual(expect.arrayContaining(["SELECT", "count", "bigint", "default", "travel", "plain"]));
    expect(found).not.toContain("view");
  });

  it("offers a database's tables and a table's columns after the dot", async () => {
    const catalog = new Catalog(new Known());
    expect(await offered(catalog, "SELECT * FROM travel.|")).toEqual(expect.arrayContaining(["trips"]));
    expect(await offered(catalog, "SELECT t.| FROM travel.trips AS t")).toEqual(expect.arrayContaining(["fare", "rideId"]));
  });

  it("offers the columns of the tables that are mentioned, and asks for no others", async () => {
    const source = new Known();
    const catalog = new Catalog(source);
    expect(await offered(catalog, "SELECT fa| FROM travel.trips, nowhere.nothing")).toContain("fare");
    expect(source.asked.filter((name) => name.includes("."))).toEqual(["travel.trips"]);
    expect(await offered(catalog, "SELECT 'fa|' FROM travel.trips")).toEqual([]);
  });

  it("is offered anew, once, when names come after the list", async () => {
    const { view, late, context, catalog } = lateNames("SELECT fa| FROM travel.trips");
    const [come, comes] = held();
    const both = [late.offer(come.then(() => void catalog.databases()), context), late.offer(come, context)];
    comes();
    await Promise.all(both);
    await view.dispatched;
    expect([view.count, completionStatus(view.state)]).toEqual([1, "pending"]);
  });

  it("is not offered anew for nothing, elsewhere, or to who has gone", async () => {
    const { view, late, context, catalog } = lateNames("SELECT fa| FROM travel.trips");
    await late.offer(Promise.resolve(), context);
    const learn = async () => void (await catalog.databases());
    view.hasFocus = false;
    await late.offer(learn(), context);
    view.hasFocus = true;
    view.dispatch({ changes: { from: 0, insert: "--" } });
    catalog.forget();
    await late.offer(learn(), context);
    await new Promise((resolve) => setTimeout(resolve));
    expect([view.count, catalog.learned]).toEqual([1, 2]);
  });

  it("looks where USE has led to", async () => {
    const catalog = new Catalog(new Known());
    catalog.current = "travel";
    expect(await offered(catalog, "SELECT | FROM trips")).toEqual(expect.arrayContaining(["trips", "fare"]));
  });
});
