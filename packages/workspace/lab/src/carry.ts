/** How a text that was changed in two places at once becomes one text. */

/** In a text: what lies from `start` to `end` becomes `text`. */
export interface Change {
  start: number;
  end: number;
  text: string;
}

/** The smallest piece of `before` that differs in `after`. */
export function changeOf(before: string, after: string): Change {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start += 1;
  let tail = 0;
  while (tail < most - start && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  return { start, end: before.length - tail, text: after.slice(start, after.length - tail) };
}

/**
 * The change that makes of `theirs` what `mine` made of `base`; both began with `base`.
 *
 * `undefined`: both changed the same piece. A change without effect: what is mine is there already.
 */
export function carry(base: string, mine: string, theirs: string): Change | undefined {
  const own = changeOf(base, mine);
  if (theirs === base) return own;
  if (theirs === mine || mine === base) return { start: 0, end: 0, text: "" };
  const other = changeOf(base, theirs);
  const by = other.text.length - (other.end - other.start);
  if (own.end < other.start || (own.end === other.start && own.start < own.end)) return own;
  // What both put in at one point: theirs first.
  if (own.start >= other.end) return { start: own.start + by, end: own.end + by, text: own.text };
  return undefined;
}

/** Where a place in `mine` lies once `carry` has been done. */
export function carriedPlace(base: string, mine: string, theirs: string, place: number): number {
  if (theirs === base || theirs === mine) return place;
  const own = changeOf(base, mine);
  const other = changeOf(base, theirs);
  const isBefore = own.end < other.start || (own.end === other.start && own.start < own.end);
  const begins = isBefore ? other.start + own.text.length - (own.end - own.start) : other.start;
  return place < begins || (place === begins && isBefore) ? place : place + other.text.length - (other.end - other.start);
}
