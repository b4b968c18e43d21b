import { describe, expect, it } from "vitest";
import { MOST_AFTER, MOST_BEFORE, placeOf } from "./place";

describe("the place of the caret", () => {
  it("has the notebook's Python before and after it", () => {
    const found = placeOf("df.show()", 3, ["import os", "%%sql\nselect 1", "%%time\ndf = 1"], ["%%bash\nls", "last()"]);
    expect(found).toEqual({ before: "import os\n\n%%time\ndf = 1\n\ndf.", after: "show()\n\nlast()" });
  });

  it("is not in a cell of another language", () => {
    expect(placeOf("%%sql\nselect 1", 8)).toBeUndefined();
    expect(placeOf("%matplotlib inline\n", 4)).toEqual({ before: "%mat", after: "plotlib inline\n" });
  });

  it("keeps what is near the caret", () => {
    const found = placeOf("a".repeat(9_000) + "bc" + "d".repeat(9_000), 9_001);
    expect(found?.before).toBe("a".repeat(MOST_BEFORE - 1) + "b");
    expect(found?.after).toBe("c" + "d".repeat(MOST_AFTER - 1));
  });
});
