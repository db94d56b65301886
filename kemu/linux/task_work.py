# SPDX-License-Identifier: GPL-2.0-only
"""Work that a task does for itself before it returns to user space (include/linux/task_work.h, kernel/task_work.c)."""
from kemu.linux.include.task_work import TWA_NONE, TWA_RESUME, TWA_SIGNAL  # noqa: F401
from kemu.linux.kernel.task_work import task_work_add, task_work_run  # noqa: F401
