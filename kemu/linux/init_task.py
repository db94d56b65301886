# SPDX-License-Identifier: GPL-2.0-only
"""The first tasks, and what the boot loader and the architecture hand over (init/init_task.c, kernel/fork.c,
arch/*/kernel/setup.c).
"""
from kemu.linux.arch.um.kernel.um_arch import setup_arch  # noqa: F401
from kemu.linux.arch.x86.kernel.e820 import parse_memopt  # noqa: F401
from kemu.linux.kernel.fork import kernel_thread, kernel_thread_fn  # noqa: F401
from kemu.linux.kernel.kthread import kthreadd  # noqa: F401
from kemu.linux.kernel.sched.idle import cpu_startup_entry  # noqa: F401
from kemu.linux.kernel.workqueue import workqueue_init  # noqa: F401
