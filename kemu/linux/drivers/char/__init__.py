# SPDX-License-Identifier: GPL-2.0-only
"""drivers/char/ of the kernel tree."""
