# SPDX-License-Identifier: GPL-2.0-only
"""xattr bodies: inline, shared, and the name filter's hash."""
from __future__ import annotations

from kemu.forge import tree as t
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.erofs.writer import build
from kemu.forge.erofs.xattr import xxh32
from tests.unit.forge.erofs_reader import Reader


def test_xxh32_known_values():
    assert xxh32(b"", 0) == 0x02CC5D05
    assert xxh32(b"a", 0) == 0x550D7456
    assert xxh32(b"abc", 0) == 0x32D153FF
    assert xxh32(b"Nobody inspects the spammish repetition", 0) == 0xE2293B2F


def test_shared_entries_are_stored_once():
    value = b"V" * 300
    files = {b"%d" % k: t.File(xattrs={b"user.same": value}) for k in range(5)}
    root = t.Dir(entries=dict(files))
    plan = ImagePlan()
    for node in files.values():
        plan.inode(node).xattr_shared = True
    image = build(root, plan)
    assert image.data.count(value) == 1
    assert Reader(image.data).manifest() == image.manifest()


def test_an_xattr_across_blocks():
    node = t.File(xattrs={b"user.big": bytes(range(256)) * 30, b"trusted.x": b"1"})
    image = build(t.Dir(entries={b"f": node}), ImagePlan(blkszbits=9))
    assert Reader(image.data).manifest() == image.manifest()
