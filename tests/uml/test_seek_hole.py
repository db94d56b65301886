# SPDX-License-Identifier: GPL-2.0-only
"""lseek(SEEK_HOLE) in a file of petabytes, each of whose blocks is asked for alone: booted, and its C in this process."""
from __future__ import annotations

import pytest

from kemu.rung.uml import Oracle
from kemu.rung.uml.build import Kernel
from tests.conftest import DATA

pytestmark = pytest.mark.linux
IMAGE = DATA / "linux-findings" / "seek-hole.erofs"


def test_the_booted_kernel_does_not_come_back(kernel: Kernel) -> None:
    with Oracle(kernel=kernel, timeout=8.0) as oracle:
        whole = oracle.erofs(IMAGE, backend="file", cap=4096)
        assert whole.crash is None and any((e["size"] or 0) > 1 << 50 for e in whole.entries)
        answer = oracle.erofs(IMAGE, backend="file", cap=4096, facts=True)
    # it asks on, or has filled all memory with the map's pages by then: on the way nothing lets anybody else run
    assert answer.crash == "hang" or (answer.crash == "panic" and "deadlocked on memory" in str(answer.message)
                                      and "erofs_file_llseek" in answer.console), (answer.crash, answer.message)
