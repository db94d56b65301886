# SPDX-License-Identifier: GPL-2.0-only
"""Global buffers, the page pool and the shrinker of zutil.c."""
from __future__ import annotations

import pytest

from kemu.linux.errno import ENOMEM
from kemu.linux.gfp import GFP_KERNEL, alloc_page
from kemu.linux.shrinker import SHRINK_EMPTY, shrink_control
from kemu.linux.types import Ref
from kemu.machine.current import this
from kemu.machine.machine import Machine

from erofs_memback import zutil
from erofs_memback.internal import erofs_pagepool_add


@pytest.fixture
def m():
    with Machine() as machine:
        yield machine


class FailNth:
    """A chooser that lets every failable call from the n-th on fail."""

    def __init__(self, n: int):
        self.n = n

    def fault(self, kind: str, what: str) -> bool:
        self.n -= 1
        return self.n <= 0

    def task(self, runnable, current, where):
        return 0

    def value(self, name, low, high):
        return low


def test_gbuf_grows_keeps_its_pages_and_gives_them_back(m):
    assert zutil.z_erofs_gbuf_init() == 0
    assert zutil.z_erofs_get_gbuf(1) == 0                       # nothing there yet, and the lock is not held
    assert zutil.z_erofs_gbuf_growsize(2) == 0
    before = list(zutil.g.z_erofs_gbufpool[0].pages)
    assert zutil.z_erofs_gbuf_growsize(5) == 0
    assert zutil.g.z_erofs_gbufpool[0].pages[:2] == before
    assert zutil.z_erofs_gbuf_growsize(3) == 0                  # never shrinks
    p = zutil.z_erofs_get_gbuf(5)
    m.mem.fill(p, 1, 5 * 4096)
    assert this.task.preempt_count == 1
    zutil.z_erofs_put_gbuf(p)
    assert this.task.preempt_count == 0
    zutil.z_erofs_gbuf_exit()
    assert m.counters.pages_in_use == 0 and not m.vm.areas


@pytest.mark.parametrize("nth", range(1, 7))
def test_gbuf_growsize_fails_clean(m, nth):
    assert zutil.z_erofs_gbuf_init() == 0
    assert zutil.z_erofs_gbuf_growsize(1) == 0
    this.chooser = FailNth(nth)             # the array, four pages, the mapping
    assert zutil.z_erofs_gbuf_growsize(5) == -ENOMEM
    this.chooser = None
    gbuf = zutil.g.z_erofs_gbufpool[0]
    assert gbuf.nrpages == 1 and m.counters.pages_in_use == 1
    assert zutil.z_erofs_gbuf_growsize(5) == 0
    zutil.z_erofs_gbuf_exit()
    assert m.counters.pages_in_use == 0


def test_pool_is_a_stack_of_pages(m):
    pool = Ref(None)
    a, b = alloc_page(GFP_KERNEL), alloc_page(GFP_KERNEL)
    erofs_pagepool_add(pool, a)
    erofs_pagepool_add(pool, b)
    assert zutil.__erofs_allocpage(pool, GFP_KERNEL, False) is b
    erofs_pagepool_add(pool, b)
    zutil.erofs_release_pages(pool)
    assert pool.v is None and m.counters.pages_in_use == 0


def test_reserved_pages_are_filled_first_and_asked_for(m):
    zutil.g.z_erofs_rsv_nrpages = 2
    assert zutil.z_erofs_gbuf_init() == 0
    pool = Ref(None)
    pages = [alloc_page(GFP_KERNEL) for _ in range(3)]
    for p in pages:
        erofs_pagepool_add(pool, p)
    zutil.erofs_release_pages(pool)
    assert m.counters.pages_in_use == 2
    this.chooser = FailNth(1)
    assert zutil.__erofs_allocpage(pool, GFP_KERNEL, False) is None         # without tryrsv the reserve is not touched
    this.chooser = FailNth(1)
    assert zutil.__erofs_allocpage(pool, GFP_KERNEL, True) in pages
    this.chooser = None
    zutil.z_erofs_gbuf_exit()


def test_shrinker_without_pclusters_is_empty(m):
    assert zutil.erofs_init_shrinker() == 0
    assert zutil.erofs_shrink_count(None, shrink_control()) == SHRINK_EMPTY
    assert zutil.erofs_shrink_scan(None, shrink_control()) == 0
    zutil.erofs_exit_shrinker()
