# SPDX-License-Identifier: GPL-2.0-only
"""Running programs (include/linux/binfmts.h)."""
from kemu.linux.fs.exec import Programs, do_execve  # noqa: F401
