# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/moduleparam.h: its types, constants and inline functions."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.lib.kstrtox import kstrtoint, kstrtoll, kstrtouint, kstrtoull
from kemu.linux.port.honesty import names

_SPACE = " \t\n\v\f\r\xa0\udca0"
parse_unknown_fn = Callable[[str, str, str, Any], int]


class kernel_param:
    """``struct kernel_param``: ``set(val)`` returns 0 or -errno; ``level`` is the initcall level at which it is parsed, -1 before all."""

    __slots__ = ("level", "name", "noarg", "set")

    def __init__(self, name: str, set_: Callable[[str], int], level: int = -1, noarg: bool = False):
        self.name = name
        self.set = set_
        self.level = level
        self.noarg = noarg


params: list[kernel_param] = []         # __start___param .. __stop___param

_NUMBERS = {"byte": (kstrtouint, 0, 255), "short": (kstrtoint, -32768, 32767), "ushort": (kstrtouint, 0, 65535), "int": (kstrtoint, -1 << 31, (1 << 31) - 1),
            "uint": (kstrtouint, 0, (1 << 32) - 1), "hexint": (kstrtouint, 0, (1 << 32) - 1), "long": (kstrtoll, -1 << 63, (1 << 63) - 1),
            "ulong": (kstrtoull, 0, (1 << 64) - 1), "ullong": (kstrtoull, 0, (1 << 64) - 1)}


names("custom", "include/linux/moduleparam.h", "kernel_param", how="the setter is a function of the value")
