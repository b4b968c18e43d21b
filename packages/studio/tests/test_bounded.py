"""A bounded memory lets the oldest go."""

from __future__ import annotations

from emr_studio.bounded import Bounded


def test_a_new_entry_takes_the_place_of_the_oldest() -> None:
    known: Bounded[str, int] = Bounded(2)
    known["a"] = 1
    known["b"] = 2
    known["a"] = 3
    assert dict(known) == {"a": 3, "b": 2}
    known["c"] = 4
    assert dict(known) == {"b": 2, "c": 4}


def test_a_default_counts_too_and_what_was_moved_stays() -> None:
    known: Bounded[str, list[int]] = Bounded(2)
    known.setdefault("a", []).append(1)
    known.setdefault("b", [])
    known.move_to_end("a")
    known.setdefault("c", [])
    assert dict(known) == {"a": [1], "c": []}
