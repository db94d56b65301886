# SPDX-License-Identifier: GPL-2.0-only
"""struct kernel_param (include/linux/moduleparam.h)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.port.honesty import names

parse_unknown_fn = Callable[[str, str, str, Any], int]


class kernel_param:
    """``struct kernel_param``: ``set(val)`` returns 0 or -errno; ``level`` is the initcall level at which it is parsed, -1 before
    all.
    """

    __slots__ = ("level", "name", "noarg", "set")

    def __init__(self, name: str, set_: Callable[[str], int], level: int = -1, noarg: bool = False):
        self.name = name
        self.set = set_
        self.level = level
        self.noarg = noarg


params: list[kernel_param] = []         # __start___param .. __stop___param


names("custom", "include/linux/moduleparam.h", "kernel_param", how="the setter is a function of the value")
