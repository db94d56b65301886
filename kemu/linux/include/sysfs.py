# SPDX-License-Identifier: GPL-2.0-only
"""struct bin_attribute (include/linux/sysfs.h)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.port.honesty import dup

P = "include/linux/sysfs.h"


@dup(P)
class bin_attribute:
    """``struct bin_attribute``: ``private`` is an address for sysfs_bin_attr_simple_read()."""

    __slots__ = ("mode", "name", "private", "read", "size")

    def __init__(self, name: str, mode: int, read: Callable[[bin_attribute, int, int], bytes] | None = None, size: int = 0):
        self.name = name
        self.mode = mode
        self.read = read
        self.size = size
        self.private: Any = 0
