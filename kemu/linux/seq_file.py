# SPDX-License-Identifier: GPL-2.0-only
"""Text for /proc (include/linux/seq_file.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.honesty import custom, dup
from kemu.machine.printk import vsprintf


@custom("include/linux/seq_file.h", "struct seq_file", "a text that grows without limit")
class SeqFile:
    """``struct seq_file``; ``text`` is what was written."""

    __slots__ = ("parts", "private")

    def __init__(self, private: Any = None):
        self.parts: list[str] = []
        self.private = private

    @property
    def text(self) -> str:
        return "".join(self.parts)


@custom("fs/seq_file.c", "seq_puts", "never overflows")
def seq_puts(m: SeqFile, s: str) -> None:
    """``void seq_puts(struct seq_file *m, const char *s)``"""
    m.parts.append(s)


@custom("fs/seq_file.c", "seq_putc", "never overflows")
def seq_putc(m: SeqFile, c: str) -> None:
    """``void seq_putc(struct seq_file *m, char c)``"""
    m.parts.append(c)


@custom("fs/seq_file.c", "seq_printf", "never overflows")
def seq_printf(m: SeqFile, f: str, *args: Any) -> None:
    """``void seq_printf(struct seq_file *m, const char *f, ...)``"""
    m.parts.append(vsprintf(f, args))


@dup("include/linux/seq_file.h")
def seq_escape(m: SeqFile, s: str, esc: str) -> None:
    """``void seq_escape(struct seq_file *m, const char *s, const char *esc)``: characters of ``esc`` as octal escapes."""
    m.parts.append("".join(f"\\{ord(c):03o}" if c in esc else c for c in s))


@dup("include/linux/seq_file.h")
def seq_show_option(m: SeqFile, name: str, value: str | None) -> None:
    """``void seq_show_option(struct seq_file *m, const char *name, const char *value)``"""
    seq_putc(m, ",")
    seq_escape(m, name, ",= \t\n\\")
    if value is not None:
        seq_putc(m, "=")
        seq_escape(m, value, ", \t\n\\")
