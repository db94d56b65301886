# SPDX-License-Identifier: GPL-2.0-only
"""kernel/sched/ of the kernel tree."""
