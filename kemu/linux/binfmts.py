# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/binfmts.h, as far as ported code uses it."""
from kemu.linux.fs.exec import Programs, do_execve  # noqa: F401
