# SPDX-License-Identifier: GPL-2.0-only
"""A patch series: C and Python halves, one on top of the other, reviewed, ported and turned back."""
