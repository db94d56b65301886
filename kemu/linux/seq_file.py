# SPDX-License-Identifier: GPL-2.0-only
"""Text for /proc (include/linux/seq_file.h)."""
from __future__ import annotations

from kemu.linux.fs.seq_file import seq_printf, seq_putc, seq_puts  # noqa: F401
from kemu.linux.include.seq_file import SeqFile, seq_escape
from kemu.linux.port.honesty import dup

P = "include/linux/seq_file.h"


@dup(P)
def seq_show_option(m: SeqFile, name: str, value: str | None) -> None:
    """``void seq_show_option(struct seq_file *m, const char *name, const char *value)``"""
    seq_putc(m, ",")
    seq_escape(m, name, ",= \t\n\\")
    if value is not None:
        seq_putc(m, "=")
        seq_escape(m, value, ", \t\n\\")
