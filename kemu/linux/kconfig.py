# SPDX-License-Identifier: GPL-2.0-only
"""CONFIG_ options of the current machine (include/linux/kconfig.h)."""
from __future__ import annotations

from typing import TypeVar

from kemu.linux.port.honesty import custom
from kemu.machine.current import this

P = "include/linux/kconfig.h"

T = TypeVar("T")


@custom(P, "IS_ENABLED", "asks the machine, so that one process can run several configurations")
def IS_ENABLED(option: str) -> bool:
    """``IS_ENABLED(CONFIG_X)``; an option that was never named is off."""
    return this.machine.config.get(option, False)                                  # type: ignore[no-any-return]


@custom(P, "CONFIG_", "asks the machine")
def config_value(option: str, default: T) -> T:
    """``CONFIG_X`` of an option that has a number or a text."""
    return this.machine.config.get(option, default)             # type: ignore[no-any-return]
