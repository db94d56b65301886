# SPDX-License-Identifier: GPL-2.0-only
"""RCU (include/linux/rcupdate.h): callbacks run when every task has passed a quiescent point, here: at the machine's idle points.
"""
from kemu.linux.include.rcupdate import call_rcu, rcu_head, rcu_read_lock, rcu_read_unlock  # noqa: F401
from kemu.linux.kernel.rcu.tree import rcu_barrier, synchronize_rcu  # noqa: F401
