# SPDX-License-Identifier: GPL-2.0-only
"""A word that is read over the end of mapped memory: Linux's exception table says what the bytes that are not there are."""
from __future__ import annotations

import pytest

from kemu.rung.c.kernel import Kernel


@pytest.mark.parametrize("length", range(1, 9))
def test_a_name_at_the_end_of_memory(kernel: Kernel, length: int) -> None:
    """find_link() copies a name by words, with strscpy(): the last one crosses into a page that is not there."""
    name = b"a" * length + b"\0"
    padded = name + bytes(((len(name) + 1) & ~3) + 2 - len(name))
    fields = (7, 0o100644, 0, 0, 2, 0, 0, 0, 0, 0, 0, len(name), 0)
    archive = b"070701" + b"".join(b"%08x" % f for f in fields) + padded
    answer = kernel.cpio(archive, at=4096 - len(archive), memory="vmalloc")
    assert answer.crash is None
    assert [e["path"] for e in answer.entries] == ["/", "/" + "a" * length]
