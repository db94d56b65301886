# SPDX-License-Identifier: GPL-2.0-only
"""Slab pools and bvsets of zdata.c."""
from __future__ import annotations

import pytest

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EINVAL
from kemu.linux.gfp import GFP_KERNEL, alloc_page
from kemu.linux.types import Ref
from kemu.machine.machine import Machine

from erofs_memback import zdata_pcluster as z
from erofs_memback.compress import Z_EROFS_SHORTLIVED_PAGE


@pytest.mark.parametrize("page_size,pools", ((4096, [1, 4, 16, 64, 128, 257]), (16384, [1, 4, 16, 65]), (65536, [1, 4, 17])))
def test_pools_of_a_page_size(page_size, pools):
    with Machine(page_size=page_size):
        assert z.z_erofs_create_pcluster_pool() == 0
        assert [p.maxpages for p in z.g.pcluster_pool] == pools
        for nr in pools:
            pcl = z.z_erofs_alloc_pcluster(nr * page_size)
            assert len(pcl.compressed_bvecs) == nr
            pcl.pclustersize = nr * page_size
            z.z_erofs_free_pcluster(pcl)
        assert all(p.slab.live == 0 for p in z.g.pcluster_pool)
        assert z.z_erofs_alloc_pcluster(pools[-1] * page_size + 1) == ERR_PTR(-EINVAL)
        z.z_erofs_destroy_pcluster_pool()


@pytest.mark.parametrize("bits,capacity", ((64, 255), (32, 341)))
@pytest.mark.parametrize("n", (0, 1, 2, 3, 257, 258, 900))
def test_bvecs_come_out_as_they_went_in(bits, capacity, n):
    with Machine(bits=bits) as m:
        pool, old, candidate = Ref(None), Ref(), Ref(None)
        bvset = z.z_erofs_bvset(z.Z_EROFS_INLINE_BVECS)
        it = z.z_erofs_bvec_iter()
        for i in range(n):
            # the front end comes back to a pcluster with vcnt bvecs: it goes through the pages that are there
            if i in (2, 5, 300):
                z.z_erofs_bvec_iter_begin(it, bvset, z.Z_EROFS_INLINE_BVECS, i)
            elif i == 0:
                z.z_erofs_bvec_iter_begin(it, bvset, z.Z_EROFS_INLINE_BVECS, 0)
            assert z.z_erofs_bvec_enqueue(it, z.z_erofs_bvec(offset=i), candidate, pool) == 0
            if i in (1, 4, 299):
                z.z_erofs_bvec_iter_end(it)
        if n > 0 and n - 1 not in (1, 4, 299):
            z.z_erofs_bvec_iter_end(it)
        pages = max(0, -(-(n - z.Z_EROFS_INLINE_BVECS) // capacity))
        assert m.counters.pages_in_use == pages
        out, seen = z.z_erofs_bvec_iter(), []
        z.z_erofs_bvec_iter_begin(out, bvset, z.Z_EROFS_INLINE_BVECS, 0)
        for i in range(n):
            assert z.z_erofs_bvec_dequeue(out, old).offset == i
            if old.v:
                seen.append(old.v)
        last = z.z_erofs_bvec_iter_end(out)
        if last:
            seen.append(last)
        assert len(set(seen)) == pages
        assert all(p.private == Z_EROFS_SHORTLIVED_PAGE for p in seen)
        assert not any(m.kmap.stacks.values())


def test_candidate_page_holds_bvecs_before_a_new_one_is_allocated():
    with Machine() as m:
        mine = alloc_page(GFP_KERNEL)
        it, bvset, candidate = z.z_erofs_bvec_iter(), z.z_erofs_bvset(2), Ref(mine)
        z.z_erofs_bvec_iter_begin(it, bvset, 2, 0)
        for i in range(3):
            assert z.z_erofs_bvec_enqueue(it, z.z_erofs_bvec(offset=i), candidate, Ref(None)) == 0
        assert bvset.nextpage is mine and candidate.v is None and m.counters.pages_in_use == 1
        assert z.z_erofs_bvec_iter_end(it) is mine
