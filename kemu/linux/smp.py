# SPDX-License-Identifier: GPL-2.0-only
"""CPUs (include/linux/smp.h, include/linux/cpumask.h): one."""
from kemu.linux.include.sched import num_possible_cpus, raw_smp_processor_id  # noqa: F401
