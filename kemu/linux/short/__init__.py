# SPDX-License-Identifier: GPL-2.0-only
"""Short forms of some functions, which commands may give to a machine that nobody looks into (docs/explanation/porting.md)."""
