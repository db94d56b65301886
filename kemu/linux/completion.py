# SPDX-License-Identifier: GPL-2.0-only
"""Completions (include/linux/completion.h)."""
from kemu.linux.include.completion import completion, init_completion, reinit_completion, wait_for_completion_timeout  # noqa: F401
from kemu.linux.kernel.sched.completion import (  # noqa: F401
    complete,
    complete_all,
    completion_done,
    wait_for_completion,
    wait_for_completion_io,
)
