# SPDX-License-Identifier: GPL-2.0-only
"""The console as a file (drivers/tty/tty_io.c): what a program writes there is a line of the log."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import names
from kemu.linux.printk import printk


def write_console(file: Any, buf: Any, count: int, ppos: Any) -> int:
    """What a program writes to the console is a line of the log."""
    printk("%s", bytes(buf[:count]).decode("utf-8", "replace"))
    return count


names("custom", "drivers/tty/tty_io.c", "write_console", how="a line of the kernel's log")
