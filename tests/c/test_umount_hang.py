# SPDX-License-Identifier: GPL-2.0-only
"""Failing calls while a pcluster is stored leave nodes without entries in sbi->managed_pslots; umount waits for xa_empty()."""
from __future__ import annotations

import pytest

from kemu.rung.c.build import Library
from kemu.rung.c.kernel import FAIL_MORE, NEVER, Kernel
from tests.conftest import DATA

IMAGE = (DATA / "small-lz4.erofs").read_bytes()


@pytest.fixture(scope="module")
def kernel(library: object) -> object:
    """A kernel that waits for less long."""
    assert callable(library)
    made: Library = library("plain")
    with Kernel(library=made, timeout=0.5) as k:
        yield k


def hangs(kernel: Kernel, calls: int) -> list[tuple[int, bool]]:
    """Which call has to be the first of so many that fail in a row for umount not to end, and whether the report says where."""
    points = kernel.erofs(IMAGE, fail_nth=NEVER).points
    out = []
    for n in range(1, points + 1):
        answer = kernel.erofs(IMAGE, fail_nth=n + (calls - 1) * FAIL_MORE)
        if answer.crash:
            assert answer.crash == "hang"
            out.append((n, "erofs_shrinker_unregister" in answer.console))
    return out


def first_node(kernel: Kernel) -> int:
    """The number of the first call of xas_create() when the first pcluster is stored."""
    for n in range(1, kernel.erofs(IMAGE, fail_nth=NEVER).points + 1):
        instance = kernel.instance
        kernel.erofs(IMAGE, fail_nth=n)
        if {"xas_create", "z_erofs_register_pcluster"} <= {f.function for f in instance.fault_trace()}:
            return n
    raise AssertionError("no pcluster is stored")


def test_umount_never_ends(kernel: Kernel) -> None:
    """Not the first node, which leaves an empty tree, but one below it: with its second try, and those of the page that is read
    again.
    """
    assert hangs(kernel, 1) == []
    n = first_node(kernel)
    assert hangs(kernel, 7) == [(n + 1, True), (n + 2, True)]
