# SPDX-License-Identifier: GPL-2.0-only
"""Archives compressed with odd headers through the port and through Linux. Longer:
``kemu fuzz initramfs.packed.linux --rung linux --examples 5000``.
"""
from __future__ import annotations

import pytest

from kemu.forge.packed import FORMATS, choose_packed
from kemu.rung.uml import Oracle
from kemu.rung.uml.build import Kernel

from initramfs.harness.differential import differences

pytestmark = pytest.mark.linux


@pytest.mark.parametrize("name", FORMATS)
def test_100_odd_headers(kernel: Kernel, name: str) -> None:
    with Oracle(kernel=kernel, timeout=4) as oracle:
        news = [f"{d.archive.describe()}\n{d.text}" for d in differences(range(100), oracle,
                                                                         make=lambda p, label: choose_packed(p, label, (name,)))
                if not d.known]
    assert not news, "\n\n".join(news)
