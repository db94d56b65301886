# SPDX-License-Identifier: GPL-2.0-only
"""The images of every kind of difference have them."""
from __future__ import annotations

from kemu.forge.erofs.every import XATTRS, every_difference


def test_every_kind_of_difference() -> None:
    images = list(every_difference())
    entries = [e for _, image in images for e in image.manifest()]
    assert len({label for label, _ in images}) > 80 and len(images) > 150
    assert sum(e["uid"] != e["gid"] for e in entries) > 0.9 * len(entries)
    names = {name for e in entries for name in e["xattrs"] or {}}
    assert names == {name.decode() for xattrs in XATTRS for name in xattrs}
    assert {name.partition(".")[0] for name in names} == {"user", "trusted", "security", "system"}
    assert {e["type"] for e in entries} == {"file", "dir", "symlink", "char", "block", "fifo", "socket"}
    assert {e["nlink"] for e in entries if e["type"] == "file"} == {1, 2, 3}
    assert (len({tuple(e["mtime"]) for e in entries}) > 10 and any(e["mtime"][1] for e in entries)
            and any(e["mtime"][0] < 0 for e in entries))
    assert any(e["uid"] > 65535 and e["gid"] > 65535 and e["uid"] != e["gid"] for e in entries)
    assert len({tuple(e["rdev"]) for e in entries if e["rdev"]}) == 7
    for bits in (9, 12):
        sizes = {e["size"] for e in entries if e["type"] == "file"}
        assert sizes >= {(n << bits) + d for n in (1, 2, 5) for d in (-1, 0, 1)}
    assert [image.data for _, image in every_difference()] == [image.data for _, image in images]
