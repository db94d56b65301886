# SPDX-License-Identifier: GPL-2.0-only
"""Shrinkers (include/linux/shrinker.h): memory pressure is something an experiment makes by calling shrink_slab()."""
from kemu.linux.include.shrinker import SHRINK_EMPTY, SHRINK_STOP, shrink_control, shrinker  # noqa: F401
from kemu.linux.mm.shrinker import shrink_slab, shrinker_alloc, shrinker_free, shrinker_register  # noqa: F401
