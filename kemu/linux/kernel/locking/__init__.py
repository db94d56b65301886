# SPDX-License-Identifier: GPL-2.0-only
"""kernel/locking/ of the kernel tree."""
