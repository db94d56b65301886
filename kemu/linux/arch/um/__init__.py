# SPDX-License-Identifier: GPL-2.0-only
"""arch/um/ of the kernel tree."""
