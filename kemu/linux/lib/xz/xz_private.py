# SPDX-License-Identifier: GPL-2.0-only
"""What the files of lib/xz share (lib/xz/xz_private.h)."""
from __future__ import annotations


class _Ret(Exception):
    """The decoder's way out of nested calls with an ``enum xz_ret``."""

    def __init__(self, ret: int):
        super().__init__(ret)
        self.ret = ret
