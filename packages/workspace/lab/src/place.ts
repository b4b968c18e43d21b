/** Where code is suggested: what stands before the caret and after it, in a file or across a notebook's cells. */

/** Characters that are sent; of what is far from the caret none. The control plane sends on no more. */
export const MOST_BEFORE = 8_000;
export const MOST_AFTER = 2_000;

export interface Place {
  before: string;
  after: string;
}

/** Cell magics below which there is Python still. */
const PYTHON = ["capture", "local", "prun", "pyspark", "time", "timeit"];

/** False for cells of another language (`%%sql`, `%%bash`). */
export function isPython(source: string): boolean {
  const magic = /^\s*%%(\w+)/.exec(source)?.[1];
  return magic === undefined || PYTHON.includes(magic);
}

/** The place of the caret; undefined in a cell of another language. `above`, `below`: the notebook's other code cells. */
export function placeOf(source: string, caret: number, above: readonly string[] = [], below: readonly string[] = []): Place | undefined {
  if (!isPython(source)) return undefined;
  const before = [...above.filter(isPython), source.slice(0, caret)].join("\n\n");
  const after = [source.slice(caret), ...below.filter(isPython)].join("\n\n");
  return { before: before.slice(-MOST_BEFORE), after: after.slice(0, MOST_AFTER) };
}
