# SPDX-License-Identifier: GPL-2.0-only
"""Small parsers of the command line (lib/cmdline.c, lib/vsprintf.c)."""
from kemu.linux.lib.cmdline import memparse  # noqa: F401
from kemu.linux.lib.vsprintf import simple_strtoull  # noqa: F401
from kemu.linux.types import ULLONG_MAX  # noqa: F401
