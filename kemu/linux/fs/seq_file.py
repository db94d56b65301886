# SPDX-License-Identifier: GPL-2.0-only
"""Text for /proc (fs/seq_file.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.include.seq_file import SeqFile
from kemu.linux.port.honesty import custom
from kemu.machine.printk import vsprintf

C = "fs/seq_file.c"


@custom(C, "seq_puts", "never overflows")
def seq_puts(m: SeqFile, s: str) -> None:
    """``void seq_puts(struct seq_file *m, const char *s)``"""
    m.parts.append(s)


@custom(C, "seq_putc", "never overflows")
def seq_putc(m: SeqFile, c: str) -> None:
    """``void seq_putc(struct seq_file *m, char c)``"""
    m.parts.append(c)


@custom(C, "seq_printf", "never overflows")
def seq_printf(m: SeqFile, f: str, *args: Any) -> None:
    """``void seq_printf(struct seq_file *m, const char *f, ...)``"""
    m.parts.append(vsprintf(f, args))
