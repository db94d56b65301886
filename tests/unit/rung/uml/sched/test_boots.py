# SPDX-License-Identifier: GPL-2.0-only
"""Plans for boots, and what two boots may not differ in."""
from __future__ import annotations

import errno
from collections import Counter

from kemu.rung.uml.initrd import Boot
from kemu.rung.uml.sched.boot import Booted
from kemu.rung.uml.sched.boots import DEEPEST, BootCase, Deeper
from kemu.rung.uml.sched.callers import Caller, Seen
from kemu.rung.uml.sched.program import Plan, Switch

ALONE = [1, 2, 3, 2, 3, 2, 3, 4, 5]
HELPER = Caller("6", "h", "t")


def booted(*lines: str, end: str = "init") -> Booted:
    return Booted(Boot(entries=[], end=end, init="/init"), 9, [], [], "".join(f"{line}\n" for line in lines))


def test_a_boot_that_came_to_something_new_gets_one_more_switch_there() -> None:
    search = Deeper(ALONE, 1, Counter())
    assert all(len(search.plan().switches) == 1 for _ in range(50))
    first = Plan([Switch(3, 0, True)])
    search.learn(first, [1, 2, 3, 9, 2, 3, 4])
    assert search.base == [(first, [4, 5])]
    search.learn(first, [1, 2, 3, 9, 2, 3, 4])
    assert len(search.base) == 1                         # the same once more is nothing new
    plans = [search.plan() for _ in range(200)]
    deeper = [p for p in plans if len(p.switches) == 2]
    assert deeper and all(p.switches[0] == first.switches[0] and p.switches[1].gap >= 1 for p in deeper)
    assert {p.switches[1].gap for p in deeper} >= {1, 2}


def test_places_that_the_hunt_has_not_tried_come_first_and_seldom_ones_before_others() -> None:
    tried: Counter[int] = Counter()
    assert {Deeper(ALONE, 1, tried).plan().switches[0].gap for _ in range(3)} == {1, 8, 9}
    assert tried == Counter({1: 1, 4: 1, 5: 1})
    assert {ALONE[Deeper(ALONE, n, tried).plan().switches[0].gap - 1] for n in range(2)} == {2, 3}


def test_no_plan_has_more_switches_than_a_story_can_have() -> None:
    search = Deeper(ALONE, 2, Counter())
    search.learn(Plan([Switch(1)] * DEEPEST), [1, 7, 8, 9, 10, 11])
    assert not search.base


def test_what_a_boot_comes_to_alone_is_right_where_nothing_better_is_known() -> None:
    case = BootCase(b"", callers=[HELPER])
    alone, same = booted("kemu: caller 0: 64, 00000000"), booted("kemu: caller 0: 64, 00000000")
    assert case.differs(alone, same) == ""
    other = booted(f"kemu: caller 0: {-errno.ENOENT}, 00000000")
    assert case.differs(alone, other) == "a thread at level 6: a helper gets ENOENT instead of 64"
    assert case.differs(alone, booted("kemu: caller 0: 64, 00000000", end="panic")).startswith("end: panic")


def test_who_waits_is_wrong_even_if_it_is_so_alone() -> None:
    case = BootCase(b"", callers=[HELPER], seen=Seen(b"", b""))
    assert case.odd(booted("kemu: caller 0: 64, 00000000")) == ""
    assert case.odd(booted("kemu: caller 0: -2, 00000000"))
    pages = "kemu: initrd: 9000 bytes, 2 pages, 2 of them kept; in sysfs: -2, 00000000"
    assert BootCase(bytes(9000)).odd(booted(pages)).startswith("the initrd: 2 pages, 2 kept, freed: nothing")


def test_another_message_is_a_difference_if_nobody_is_early() -> None:
    said = "wait_for_initramfs() called before rootfs_initcalls"
    assert BootCase(b"").differs(booted(), booted(said)) == f"the kernel says: {said}"
    assert BootCase(b"", callers=[Caller("s", "l", "t")]).differs(booted(), booted(said)) == ""
    assert BootCase(b"", callers=[Caller("s", "l", "t")]).differs(booted(), booted("oops")) == "the kernel says: oops"
