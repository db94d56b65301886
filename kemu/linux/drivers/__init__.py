# SPDX-License-Identifier: GPL-2.0-only
"""drivers/ of the kernel tree."""
