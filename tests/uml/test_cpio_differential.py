# SPDX-License-Identifier: GPL-2.0-only
"""Archives through the port and through Linux: they agree, or it is known why not.

Longer: ``kemu fuzz initramfs.archives --rung linux --examples 20000``.
"""
from __future__ import annotations

import pytest

from kemu.rung.uml import Oracle
from kemu.rung.uml.build import Kernel

from initramfs.harness.differential import differences

pytestmark = pytest.mark.linux


def test_300_archives(kernel: Kernel) -> None:
    with Oracle(kernel=kernel, timeout=4) as oracle:
        news = [f"{d.archive.describe()}\n{d.text}" for d in differences(range(300), oracle) if not d.known]
    assert not news, "\n\n".join(news)
