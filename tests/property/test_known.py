# SPDX-License-Identifier: GPL-2.0-only
"""Long paths that go on where an earlier one has ended lead where a walk of their own leads (kemu/linux/vfs/known.py)."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kemu.forge.cpio import Member, Segment, encode, trailer
from kemu.linux.vfs import known
from kemu.report import manifest

from initramfs.harness.boots import boot_initrd

LONG = [b"l" * 60 + b"%d" % i for i in range(3)]            # three of them are a long path
DIR, FILE, LINK = 0o040755, 0o100644, 0o120777

paths = st.lists(st.sampled_from([*LONG, b"d", b"..", b"."]), min_size=1, max_size=6).map(b"/".join)
members = st.builds(lambda name, mode, target, slash: Member(name + (b"/" if slash else b""), mode, target if mode == LINK else b"x" if mode == FILE else b""),
                    paths, st.sampled_from([DIR, DIR, DIR, FILE, LINK]), paths, st.booleans())


def outcome(data: bytes) -> tuple[Any, ...]:
    r = boot_initrd(data, builtin="none")
    c = r.machine.counters.as_dict()
    return r.unpack_error, manifest.dump(r.tree), r.log, c


@settings(deadline=None, max_examples=60)
@given(st.lists(members, min_size=2, max_size=24))
def test_the_same_tree(found: list[Member]) -> None:
    data = encode([Segment(members=[*found, trailer()])])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "LONG", 1 << 30)
        want = outcome(data)
    assert outcome(data) == want
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "LONG", 0)
        assert outcome(data) == want


def test_a_deep_tree_is_linear() -> None:
    """2,000 folders, each named from the root: a hundred thousand steps are enough, a square number would be twenty million."""
    import kemu.linux.vfs.walk as walk

    steps = 0
    plain = walk.walk_component

    def counting(nd: Any, flags: int) -> Any:
        nonlocal steps
        steps += 1
        return plain(nd, flags)

    data = encode([Segment(members=[*(Member(b"d/" * n + b"d", DIR) for n in range(2000)), trailer()])])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "walk_component", counting)
        r = boot_initrd(data, builtin="none")
    assert len(r.tree) == 2001 and steps < 200_000
