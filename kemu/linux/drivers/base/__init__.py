# SPDX-License-Identifier: GPL-2.0-only
"""drivers/base/ of the kernel tree."""
