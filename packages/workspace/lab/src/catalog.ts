/**
 * The catalog of the attached cluster as far as it was asked for: each thing is asked once, by the tree or by a
 * completion, until it is forgotten.
 */
import { type ISignal, Signal } from "@lumino/signaling";
import type { Column, Table } from "./sqlKernel";

/** Who knows it: `SqlKernel`. */
export interface CatalogSource {
  databases(): Promise<string[]>;
  tables(database: string): Promise<Table[]>;
  columns(database: string, table: string): Promise<Column[]>;
}

export interface Place {
  database: string;
  table: string;
}

export const DEFAULT_DATABASE = "default";
/** Columns are asked for of so many tables of one statement. */
const MOST_MENTIONED = 8;
const NAME = "(?:`(?:[^`]|``)+`|[A-Za-z_][\\w]*)";
const MENTION = new RegExp(`\\b(?:from|join|into|update|table|describe|desc)\\s+(${NAME}(?:\\s*\\.\\s*${NAME})?)`, "gi");
const BEFORE_A_DOT = new RegExp(`(${NAME})\\s*\\.`, "g");
const PARTS = new RegExp(NAME, "g");
const CHANGE = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:create|drop|alter|replace)\b/i;
const USE = new RegExp(`^\\s*use\\s+(?:database\\s+|schema\\s+)?(${NAME})\\s*;?\\s*$`, "i");

/** `name` as SQL spells any name. */
export function quoted(name: string): string {
  return "`" + name.replaceAll("`", "``") + "`";
}

/** `name` as it is typed: quoted only where it must be. */
export function spelled(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoted(name);
}

function plain(name: string): string {
  return name.startsWith("`") ? name.slice(1, -1).replaceAll("``", "`") : name.toLowerCase();
}

/** Tables that a statement, perhaps half written, reads or writes; names without a database are of `current`. */
export function mentioned(statement: string, current: string): Place[] {
  const found = new Map<string, Place>();
  for (const [, name] of statement.matchAll(MENTION)) {
    const parts = [...(name ?? "").matchAll(PARTS)].map(([part]) => plain(part));
    const [first, second] = parts;
    if (first) found.set(parts.join("\n"), second ? { database: first, table: second } : { database: current, table: first });
  }
  return [...found.values()];
}

/** The database that a statement makes the current one; undefined if it is another statement. */
export function usedBy(statement: string): string | undefined {
  const name = USE.exec(statement)?.[1];
  return name === undefined ? undefined : plain(name);
}

/** Whether the catalog is another one after a statement. */
export function changesCatalog(statement: string): boolean {
  return CHANGE.test(statement);
}

export class Catalog {
  /** Where names without a database are looked for. */
  current = DEFAULT_DATABASE;
  /** How often it was forgotten. */
  generation = 0;
  /** How often something became known. */
  learned = 0;
  private readonly _changed = new Signal<this, void>(this);
  private readonly asked = new Map<string, Promise<unknown>>();
  private known = new Map<string, Map<string, Column[]>>();

  constructor(private readonly source: CatalogSource) {}

  /** Everything is to be asked anew. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What was known is old, or of another cluster. */
  forget(current = this.current): void {
    this.current = current;
    this.asked.clear();
    this.known = new Map();
    this.generation += 1;
    this._changed.emit();
  }

  databases(): Promise<string[]> {
    return this.once("", async () => {
      const found = await this.source.databases();
      for (const name of found) this.tablesKnown(name);
      this.learned += 1;
      return found;
    });
  }

  /** Without temporary views: they belong to the session, and would be listed in every database. */
  tables(database: string): Promise<Table[]> {
    return this.once(database, async () => {
      const found = (await this.source.tables(database)).filter((table) => !table.temporary);
      const tables = this.tablesKnown(database);
      for (const { name } of found) if (!tables.has(name)) tables.set(name, []);
      this.learned += 1;
      return found;
    });
  }

  columns({ database, table }: Place): Promise<Column[]> {
    return this.once(`${database}\n${table}`, async () => {
      const found = await this.source.columns(database, table);
      this.tablesKnown(database).set(table, found);
      this.learned += 1;
      return found;
    });
  }

  /** Ask for what a statement mentions, as far as there is such a thing; nothing of it may fail the typing. */
  async prepare(statement: string): Promise<void> {
    const quietly = <T>(work: Promise<T>) => work.catch(() => undefined);
    const databases = (await quietly(this.databases())) ?? [];
    const places = mentioned(statement, this.current).filter((place) => databases.includes(place.database));
    const dotted = [...statement.matchAll(BEFORE_A_DOT)].map(([, name]) => plain(name ?? ""));
    const wanted = new Set([this.current, ...dotted, ...places.map((place) => place.database)]);
    await Promise.all([...wanted].filter((name) => databases.includes(name)).map((name) => quietly(this.tables(name))));
    const there = places.filter((place) => this.known.get(place.database)?.has(place.table));
    await Promise.all(there.slice(0, MOST_MENTIONED).map((place) => quietly(this.columns(place))));
  }

  /** All that is known: databases, their tables, and columns of those that were asked for. */
  get names(): ReadonlyMap<string, ReadonlyMap<string, readonly Column[]>> {
    return this.known;
  }

  private tablesKnown(database: string): Map<string, Column[]> {
    const found = this.known.get(database) ?? new Map<string, Column[]>();
    this.known.set(database, found);
    return found;
  }

  /** What failed is asked again. */
  private once<T>(name: string, ask: () => Promise<T>): Promise<T> {
    const before = this.asked.get(name) as Promise<T> | undefined;
    if (before) return before;
    const asked = ask();
    this.asked.set(name, asked);
    asked.catch(() => {
      if (this.asked.get(name) === asked) this.asked.delete(name);
    });
    return asked;
  }
}
