/** Which cells two states of a notebook share, in order. */

export type Mark = "same" | "gone" | "new";
export interface Marked<T> {
  mark: Mark;
  item: T;
}

/**
 * `then` and `now` as one list: what both have, what only `then` had ("gone") and what only `now` has
 * ("new"); by a longest common subsequence of `key`.
 */
export function compare<T>(then: T[], now: T[], key: (item: T) => string): Marked<T>[] {
  const [a, b] = [then.map(key), now.map(key)];
  // lengths[i][j]: of the longest common subsequence of what follows i and j.
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  const at = (i: number, j: number) => lengths[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const row = lengths[i];
      if (row) row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const found: Marked<T>[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const same = i < a.length && j < b.length && a[i] === b[j];
    const gone = !same && i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1));
    const item = same || gone ? then[i] : now[j];
    found.push({ mark: same ? "same" : gone ? "gone" : "new", item: item as T });
    if (same || gone) i += 1;
    if (same || !gone) j += 1;
  }
  return found;
}
