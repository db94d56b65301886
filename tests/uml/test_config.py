# SPDX-License-Identifier: GPL-2.0-only
"""The .config that Kconfig makes of the recipe is the one that the emulated kernel has by default."""
from __future__ import annotations

import pytest

from kemu.machine.config import DEFAULT_CONFIG
from kemu.rung.uml import config as recipe
from kemu.rung.uml.build import Kernel
from tests.unit.machine.test_config import asked

pytestmark = pytest.mark.linux
# what an architecture selects, or UML has not
OTHERWISE = {"CONFIG_TRANSPARENT_HUGEPAGE", "CONFIG_ARCH_HAS_STRICT_KERNEL_RWX", "CONFIG_STRICT_KERNEL_RWX"}


def test_the_defaults_are_the_kernels(kernel: Kernel) -> None:
    have = recipe.settings((kernel.path.parent / "config").read_text())
    wrong = {o: (DEFAULT_CONFIG.get(o, False), have.get(o)) for o in asked() - OTHERWISE
             if have.get(o) in ("y", None) and bool(DEFAULT_CONFIG.get(o, False)) != (have.get(o) == "y")}
    assert wrong == {}
