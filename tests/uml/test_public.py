# SPDX-License-Identifier: GPL-2.0-only
"""Inputs from public bug reports, as Linux has them."""
from __future__ import annotations

import pytest

from kemu.report import manifest
from kemu.rung.uml import Oracle
from kemu.rung.uml.build import Kernel
from kemu.rung.uml.initrd import boot_initrd
from tests.public import ARCHIVES, DATA, mtimes, paths

pytestmark = pytest.mark.linux


@pytest.mark.parametrize(("name", "config", "message", "want"), ARCHIVES, ids=lambda x: x if isinstance(x, str) else "")
def test_archives(kernel: Kernel, name: str, config: dict[str, bool], message: str | None, want: list[str]) -> None:
    b = boot_initrd(str(DATA / name), builtin="none", config=tuple(f"{k}={'y' if v else 'n'}" for k, v in config.items()))
    said = [line for line in b.console.splitlines() if "unpacking failed" in line]
    assert [line.partition("failed: ")[2] for line in said] == [message] * (message is not None) and paths(b.entries) == want


def test_times_are_the_archives(kernel: Kernel) -> None:
    b = boot_initrd(str(DATA / "mtimes.cpio"), builtin="none")
    assert {e["path"]: e["mtime"] for e in b.entries if e["path"] != "/"} == mtimes()


def test_a_48_bit_image_whose_root_has_16(oracle: Oracle) -> None:
    from kemu.report.walk import walk

    from erofs_memback.harness.mount import mounted

    data = (DATA / "48bit-lz4-root.erofs").read_bytes()
    linux = oracle.erofs(data)
    assert linux.mount_error is None
    with mounted(data) as m:
        assert manifest.diff(linux.entries, list(walk(m.path)), "Linux", "kemu") == ""


def test_a_metabox_that_is_too_short(oracle: Oracle) -> None:
    """Linux says nothing about it either."""
    r = oracle.erofs((DATA / "metabox-short.erofs").read_bytes())
    assert r.mount_error == "EUCLEAN"
    assert [line for line in r.kmsg if line.startswith("erofs") and "EXPERIMENTAL" not in line] == []
