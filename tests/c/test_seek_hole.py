# SPDX-License-Identifier: GPL-2.0-only
"""The same as tests/uml/test_seek_hole.py in the C rung, which says where it is."""
from __future__ import annotations

from kemu.rung.c.kernel import Kernel
from tests.conftest import DATA

IMAGE = DATA / "linux-findings" / "seek-hole.erofs"


def test_it_does_not_come_back_from_iomap_seek_hole(kernel: Kernel) -> None:
    before, kernel.timeout = kernel.timeout, 2.0
    try:
        assert kernel.erofs(IMAGE, backend="file", cap=4096).crash is None
        answer = kernel.erofs(IMAGE, backend="file", cap=4096, facts=True)
    finally:
        kernel.timeout = before
    assert answer.crash == "hang" and "iomap_seek_hole" in answer.console and "erofs_file_llseek" in answer.console
