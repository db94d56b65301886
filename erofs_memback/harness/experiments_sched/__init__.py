# SPDX-License-Identifier: GPL-2.0-only
"""The booted kernel with every switch chosen: what tasks do beside each other in mounts of EROFS, and what each of them must see.

``kemu fuzz sched --rung sched``. A case is a program and a plan of who is preempted where; each step has to say what it says when
nobody is preempted.
"""
from erofs_memback.harness.experiments_sched import backing, cache, copyup, faults, mounts, nested, overlapping, readers, remounts

__role__ = "harness"
__all__ = ["backing", "cache", "copyup", "faults", "mounts", "nested", "overlapping", "readers", "remounts"]
