# SPDX-License-Identifier: GPL-2.0-only
"""Waiting on a bit of a flag word (include/linux/wait_bit.h)."""
from kemu.linux.include.sched import TASK_INTERRUPTIBLE, TASK_KILLABLE, TASK_UNINTERRUPTIBLE  # noqa: F401
from kemu.linux.include.wait_bit import (  # noqa: F401
    clear_and_wake_up_bit,
    wait_on_bit_lock,
)
from kemu.linux.kernel.sched.wait_bit import wake_up_bit  # noqa: F401
