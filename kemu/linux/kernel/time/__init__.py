# SPDX-License-Identifier: GPL-2.0-only
"""kernel/time/ of the kernel tree."""
