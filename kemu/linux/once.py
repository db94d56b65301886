# SPDX-License-Identifier: GPL-2.0-only
"""Things done once (include/linux/once_lite.h)."""
from kemu.linux.printk import DO_ONCE_LITE_IF  # noqa: F401
