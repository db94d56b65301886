# SPDX-License-Identifier: GPL-2.0-only
"""Inputs from public bug reports, on the py rung; tests/uml/test_public.py asks Linux."""
from __future__ import annotations

import pytest

from tests.public import ARCHIVES, DATA, mtimes, paths

from initramfs.harness.boots import boot_initrd


@pytest.mark.parametrize(("name", "config", "message", "want"), ARCHIVES, ids=lambda x: x if isinstance(x, str) else "")
def test_archives(name: str, config: dict[str, bool], message: str | None, want: list[str]) -> None:
    r = boot_initrd(str(DATA / name), builtin="none", config=config)
    assert (r.unpack_error, paths(r.tree), r.splats) == (message, want, [])


@pytest.mark.parametrize("design", ["upstream", "layered", "initerofs-rfc"])
def test_times_are_the_archives(design: str) -> None:
    r = boot_initrd(str(DATA / "mtimes.cpio"), builtin="none", design=design)
    assert {e["path"]: e["mtime"] for e in r.tree if e["path"] != "/"} == mtimes()


def test_a_48_bit_image_whose_root_has_16() -> None:
    """rootnid_8b is 0: what would be blocks_hi is the root's nid."""
    r = boot_initrd(str(DATA / "48bit-lz4-root.erofs"), design="layered")
    assert "initrd: 1 segments, 1 of them mounted from memory" in r.log
    assert {"/etc/motd", "/init"} <= {e["path"] for e in r.tree}
