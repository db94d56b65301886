# SPDX-License-Identifier: GPL-2.0-only
"""initerofs as posted: it boots, and what a kernel with detectors says about it."""
from __future__ import annotations

from typing import Any

from kemu.forge import tree
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.erofs.writer import build
from kemu.linux.rodata import changed
from kemu.machine.initcalls import load
from tests.unit.initramfs.archive import ELF, archive, record

from initramfs import initerofs_rfc
from initramfs.harness.boot_views import mounts
from initramfs.harness.boots import boot_initrd


def image() -> bytes:
    """/init, a directory with a file."""
    root = tree.Dir(entries={b"init": tree.File(data=ELF, mode=0o755),
                             b"etc": tree.Dir(entries={b"motd": tree.File(data=b"hello" * 2000)})})
    return bytes(build(root, ImagePlan()).data)


def boot(initrd: bytes, rodata: str = "plain", **kw: Any) -> tuple[Any, dict[str, Any]]:
    seen: dict[str, Any] = {}

    def after(result: Any) -> None:
        seen["mounts"] = [(m["mountpoint"], m["type"]) for m in mounts()]
        seen["changed"] = changed()

    return boot_initrd(initrd, design="initerofs-rfc", rodata=rodata, after=after, **kw), seen


def test_an_image_becomes_the_root() -> None:
    result, seen = boot(image(), tree=True)
    assert {"/", "/etc", "/etc/motd", "/init"} <= {e["path"] for e in result.tree}
    assert ("/", "overlay") in seen["mounts"] and ("/root", "erofs") in seen["mounts"]
    assert any("using EROFS as initial rootfs" in line for line in result.log)


def test_mount_writes_to_and_behind_its_literals() -> None:
    _, seen = boot(image())
    assert any("has become" in line for line in seen["changed"])
    result, _ = boot(image(), rodata="guarded")
    assert result.ended == "splat"
    assert "KASAN" in result.error.title


def test_an_archive_boots_as_ever() -> None:
    result, seen = boot(archive(record("/init", 0o100755, ELF)))
    assert result.ended == "init"
    assert not any(kind == "overlay" for _, kind in seen["mounts"])
    assert result.freed


def test_the_initcalls_that_move() -> None:
    names = [(e.level, e.name) for e in initerofs_rfc.initcalls(load())]
    assert ("fs", "erofs_module_init") in names and ("device", "ovl_init") not in names
    assert names.index(("fs", "ovl_init")) < names.index(("fs", "erofs_module_init")) < names.index(("fs", "populate_rootfs"))
