# SPDX-License-Identifier: GPL-2.0-only
"""kernel/rcu/ of the kernel tree."""
