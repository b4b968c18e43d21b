"""The queue before a host's places: in order, and each is told where it stands."""

from __future__ import annotations

import threading
from collections import defaultdict
from functools import partial

from emr_studio.runtime.turns import Turns
from tests.support.agent_rig import until


def test_each_is_told_its_place_and_they_go_in_the_order_in_which_theycame() -> None:
    turns, told, went = Turns(2), defaultdict[int, list[int]](list), list[int]()
    doors = [threading.Event() for _ in range(6)]

    def take(number: int) -> None:
        with turns.turn(told[number].append):
            went.append(number)
            assert doors[number].wait(120)

    def came(number: int) -> bool:
        return len(went) == number + 1 if number < 2 else told[number] == [number - 2]

    def gone(count: int) -> bool:
        return len(went) == count

    threads = []
    for number in range(6):
        threads.append(threading.Thread(target=take, args=(number,)))
        threads[-1].start()
        until(partial(came, number))
    for number in range(4):
        doors[number].set()
        until(partial(gone, number + 3))
    for door in doors:
        door.set()
    for thread in threads:
        thread.join(120)
    assert went == [0, 1, 2, 3, 4, 5]
    assert told[1] == []
    assert told[5] == [3, 2, 1, 0]


def test_a_place_is_given_back_by_who_fails() -> None:
    turns = Turns(1)
    for _ in range(3):
        try:
            with turns.turn(lambda _before: None):
                raise OSError("no space")
        except OSError:
            continue
