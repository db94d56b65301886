# SPDX-License-Identifier: GPL-2.0-only
"""Python to C: what a port or a Series says, as the C that it was, or would be, written as.

Known are the declarations of the tree (never a function's body) and the idioms of docs/explanation/porting.md.
"""
