# SPDX-License-Identifier: GPL-2.0-only
"""drivers/block/ of the kernel tree."""
