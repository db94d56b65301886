# SPDX-License-Identifier: GPL-2.0-only
"""A place in a mount tree (include/linux/path.h)."""
from kemu.linux.fs.namei import path_get, path_put  # noqa: F401
from kemu.linux.include.path import Path, path_equal  # noqa: F401
