# SPDX-License-Identifier: GPL-2.0-only
"""What a task does with a signal (kernel/signal.c): nothing is ever sent."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import stub

C = "kernel/signal.c"

SIGCHLD = 17
SIG_DFL, SIG_IGN = 0, 1


@stub(C, "kernel_sigaction", "no signals: a task that ends wakes who waits for it")
def kernel_sigaction(sig: int, action: Any) -> None:
    """``void kernel_sigaction(int sig, __sighandler_t action)``"""
