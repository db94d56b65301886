# SPDX-License-Identifier: GPL-2.0-only
"""Numbers from strings (include/linux/kstrtox.h, lib/kstrtox.c)."""
from kemu.linux.lib.kstrtox import kstrtobool, kstrtoint, kstrtoll, kstrtouint, kstrtoull  # noqa: F401
