# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/fs.h: flag words (constants.py), structures (types.py), inline functions (calls.py)."""
