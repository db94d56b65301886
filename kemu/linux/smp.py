# SPDX-License-Identifier: GPL-2.0-only
"""CPUs (include/linux/smp.h, include/linux/cpumask.h): one."""
from kemu.linux.sched import num_possible_cpus, raw_smp_processor_id

__all__ = ["num_possible_cpus", "raw_smp_processor_id"]
