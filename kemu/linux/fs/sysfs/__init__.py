# SPDX-License-Identifier: GPL-2.0-only
"""fs/sysfs/ of the kernel tree."""
