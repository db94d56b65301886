# SPDX-License-Identifier: GPL-2.0-only
"""Views of on-disk structures."""
from __future__ import annotations

from kemu.linux.port.layout import cdef_views, offsetof, sizeof
from kemu.linux.slab import kmalloc
from kemu.machine.current import this
from tests.conftest import raises_splat

S = cdef_views("""
struct ent { __le64 nid; __le16 off; __u8 type; __u8 reserved; };
struct both { __le32 lo; union { __le16 hi; __le16 nlink; } u; __u8 tag[6]; struct ent e; };
""")


def test_layout_is_packed():
    assert sizeof(S.ent) == 12 and sizeof(S.both) == 24 and offsetof(S.both, "e") == 12


def test_fields_indexing_nested_and_copies(machine):
    p = kmalloc(48)
    this.mem.store(p, bytes(range(48)))
    b = S.both(p)
    assert b.lo == 0x03020100 and b.u.hi == b.u.nlink == 0x0504 and b.tag == p + 6
    assert b.e.nid == int.from_bytes(bytes(range(12, 20)), "little") and b[1].lo == 0x1B1A1918
    snap = b.copy()
    this.mem.store(p, bytes(48))
    assert snap.lo == 0x03020100 and snap.u.hi == 0x0504 and snap.e.off == 0x1514 and snap.tag == bytes(range(6, 12))


def test_only_the_bytes_of_the_field_are_checked(machine):
    p = kmalloc(10)
    this.mem.store(p, bytes(10))
    e = S.ent(p)
    assert e.nid == 0 and e.off == 0
    with raises_splat("slab-out-of-bounds", addr=p + 10):
        e.type                      # noqa: B018
