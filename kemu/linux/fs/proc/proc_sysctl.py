# SPDX-License-Identifier: GPL-2.0-only
"""Names of kernel parameters that are sysctls (fs/proc/proc_sysctl.c)."""
from __future__ import annotations

from kemu.linux.port.honesty import dup, names
from kemu.machine.current import this

C = "fs/proc/proc_sysctl.c"

sysctl_aliases = ("hardlockup_all_cpu_backtrace", "hung_task_panic", "numa_zonelist_order", "softlockup_all_cpu_backtrace")


@dup(C, "sysctl_is_alias")
def sysctl_is_alias(param: str) -> bool:
    """``bool sysctl_is_alias(char *param)``: false without CONFIG_PROC_SYSCTL"""
    return bool(this.machine.config.get("CONFIG_PROC_SYSCTL")) and param in sysctl_aliases


names("dup", C, "sysctl_aliases")
