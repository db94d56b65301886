# SPDX-License-Identifier: GPL-2.0-only
"""The one attempt at a layered root: what overlayfs does without is noticed, who is in the way is waited for."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kemu.forge import tree as t
from kemu.forge.cpio import Member, Segment, encode, trailer
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.erofs.writer import build
from kemu.linux.errno import EIO
from kemu.linux.fcntl import O_RDONLY
from kemu.linux.file import fput
from kemu.linux.fs import filp_open
from kemu.linux.fs.overlayfs import super as overlay
from kemu.linux.port import user
from kemu.machine.series import Series

from initramfs import stage
from initramfs.harness import designs
from initramfs.harness.observed import CONSOLE, UNDONE, Observed, boot, whole_pages


def image(**entries: t.Node) -> bytes:
    return bytes(build(t.Dir(entries={k.encode(): v for k, v in entries.items()}), ImagePlan()).data)


IMAGE = image(d=t.Dir(entries={b"f": t.File(data=b"f" * 30000)}), e=t.Dir())
ARCHIVE = encode([Segment(members=[Member(b"first", 0o100644, b"1" * 9000), trailer()])])
WITHOUT_XATTRS = ('    err = ovl_setxattr(ofs, ofs.workdir, OVL_XATTR_OPAQUE, b"0")\n', "    err = -12\n")


def layered(*plants: Series) -> designs.Design:
    d = designs.find("layered")
    return replace(d, series=(*d.series, *plants))


def as_ever(seen: Observed, data: bytes, **kw: Any) -> bool:
    """Like a kernel without the feature, and one line."""
    ever = boot("upstream", data, builtin=CONSOLE, **kw)
    return not [w for w in seen.differences(ever) if w != "log"] and sum(line.startswith(UNDONE) for line in seen.log) == 1


def test_an_overlay_without_extended_attributes_is_no_root() -> None:
    plant = Series("no attributes", ("kemu.linux.fs.overlayfs",))
    plant.edits(overlay.ovl_make_workdir, WITHOUT_XATTRS)
    seen = boot(layered(plant), ARCHIVE + IMAGE, builtin=CONSOLE)
    assert seen.said("overlayfs: failed to set xattr on upper") and as_ever(seen, ARCHIVE + IMAGE)

    # what it would be like
    plant.edits(stage.mount_overlay, ("    return init_mkdir(probe, 0o700) or init_rmdir(probe)\n",
                                      "    return init_rmdir(probe) and 0\n"))
    plant.packages = ("kemu.linux.fs.overlayfs", "initramfs")
    errors: list[Any] = []

    def again(o: Observed, r: Any) -> None:
        errors.extend((user.sys_rmdir("/e"), user.sys_mkdir("/e", 0o755)))
    degraded = boot(layered(plant), ARCHIVE + IMAGE, builtin=CONSOLE, after=again)
    assert not degraded.said(UNDONE) and errors == [0, -EIO]
    errors.clear()
    assert not boot("layered", ARCHIVE + IMAGE, builtin=CONSOLE, after=again).said(UNDONE) and errors == [0, 0]


def test_an_overlay_that_is_read_only_is_no_root() -> None:
    plant = Series("no work directory", ("kemu.linux.fs.overlayfs",))
    plant.replaces(overlay.ovl_workdir_create)(lambda ofs, name: None)
    assert as_ever(boot(layered(plant), IMAGE, builtin=CONSOLE), IMAGE)


def test_the_probe_takes_nobodys_name() -> None:
    data = image(**{".initrd-layers": t.Dir(entries={b"x": t.File(data=b"x")})})
    assert as_ever(boot("layered", data, builtin=CONSOLE), data)
    data = encode([Segment(members=[Member(b".initrd-layers", 0o100644, b"1"), trailer()])]) + IMAGE
    assert as_ever(boot("layered", data, builtin=CONSOLE), data)
    mine = encode([Segment(members=[Member(b".initrd-layers", 0o100644, b"1"), trailer()])])
    seen = boot("layered", IMAGE + mine, builtin=CONSOLE)       # over everything else: a file as any other
    assert not seen.said(UNDONE) and any(e["path"] == "/.initrd-layers" for e in seen.tree)


@pytest.mark.parametrize("retain", ["", "retain_initrd"])
def test_who_looks_into_a_layer_keeps_its_memory_until_he_leaves(retain: str) -> None:
    plant = Series("a curious program", ("initramfs",))
    held: list[Any] = []

    def switch_root(merged: str) -> int:
        held.append(filp_open("/.initrd-layers/1/d/f", O_RDONLY, 0))
        return -EIO
    plant.replaces(stage.switch_root)(switch_root)
    pages: list[str] = []

    def leaves(o: Observed, r: Any) -> None:
        pages.append(whole_pages(r.machine))
        fput(held.pop())
        user.exit_to_user_mode()
        r.machine.idle()
        pages.append(whole_pages(r.machine))
    data = IMAGE + bytes(3 * 4096) + ARCHIVE
    seen = boot(layered(plant), data, builtin=CONSOLE, after=leaves, cmdline=retain)
    assert seen.said(UNDONE) and seen.twice == 0
    ever = boot("upstream", data, builtin=CONSOLE, cmdline=retain)
    assert seen.tree == ever.tree and seen.exported == ever.exported
    if retain:
        assert "F" not in pages[0] + pages[1]
    else:
        n = len(IMAGE) // 4096
        assert pages[0][:n] == "r" * n and set(pages[0][n:]) == {"F"} and set(pages[1]) == {"F"}
