# SPDX-License-Identifier: GPL-2.0-only
"""drivers/tty/ of the kernel tree."""
