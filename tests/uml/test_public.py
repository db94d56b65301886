# SPDX-License-Identifier: GPL-2.0-only
"""Inputs from public bug reports, as Linux has them."""
from __future__ import annotations

import pytest

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
