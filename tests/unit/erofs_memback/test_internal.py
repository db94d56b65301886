# SPDX-License-Identifier: GPL-2.0-only
"""The union of struct erofs_inode: what is written to one member is read from those that share its bytes, as in C."""
from __future__ import annotations

import ctypes
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from erofs_memback.internal import erofs_inode


class Chunk(ctypes.LittleEndianStructure):
    _fields_ = [("chunkformat", ctypes.c_uint16), ("chunkbits", ctypes.c_uint8)]


class Ofs(ctypes.Union):
    _fields_ = [("z_tailextent_headlcn", ctypes.c_uint64), ("z_extents", ctypes.c_uint64)]


class Z(ctypes.LittleEndianStructure):
    _anonymous_ = ("u",)
    _fields_ = [("z_advise", ctypes.c_uint16), ("z_algofmt", ctypes.c_uint8 * 2), ("z_lclusterbits", ctypes.c_uint8), ("u", Ofs),
                ("z_fragmentoff", ctypes.c_uint64), ("z_idata_size", ctypes.c_uint16)]


class Whole(ctypes.Union):
    _anonymous_ = ("c", "z")
    _fields_ = [("startblk", ctypes.c_uint64), ("c", Chunk), ("z", Z)]


BITS = {"startblk": 64, "chunkformat": 16, "chunkbits": 8, "z_advise": 16, "z_lclusterbits": 8, "z_tailextent_headlcn": 64,
        "z_extents": 64, "z_fragmentoff": 64, "z_idata_size": 16}


def written() -> st.SearchStrategy[tuple[str, int]]:
    return st.sampled_from(sorted(BITS)).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, (1 << BITS[n]) - 1)))


@given(st.lists(written() | st.tuples(st.sampled_from(["z_algofmt 0", "z_algofmt 1"]), st.integers(0, 255)), max_size=8))
def test_as_in_c(writes: list[tuple[str, int]]) -> None:
    vi, c = erofs_inode(), Whole()
    for name, value in writes:
        for to in (vi, c):
            target: Any = to
            if " " in name:
                target.z_algofmt[int(name[-1])] = value
            else:
                setattr(target, name, value)
    assert {n: getattr(vi, n) for n in BITS} == {n: getattr(c, n) for n in BITS}
    assert list(vi.z_algofmt) == list(c.z_algofmt)
    vi.zero()
    assert not any(getattr(vi, n) for n in BITS) and vi.z_algofmt == [0, 0]
