# SPDX-License-Identifier: GPL-2.0-only
"""drivers/dax/ of the kernel tree."""
