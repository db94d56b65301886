# SPDX-License-Identifier: GPL-2.0-only
"""struct seq_file (include/linux/seq_file.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import custom, dup

P = "include/linux/seq_file.h"


@custom(P, "struct seq_file", "a text that grows without limit")
class SeqFile:
    """``struct seq_file``; ``text`` is what was written."""

    __slots__ = ("parts", "private")

    def __init__(self, private: Any = None):
        self.parts: list[str] = []
        self.private = private

    @property
    def text(self) -> str:
        return "".join(self.parts)


@dup(P)
def seq_escape(m: SeqFile, s: str, esc: str) -> None:
    """``void seq_escape(struct seq_file *m, const char *s, const char *esc)``: characters of ``esc`` as octal escapes."""
    m.parts.append("".join(f"\\{ord(c):03o}" if c in esc else c for c in s))
