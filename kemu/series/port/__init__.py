# SPDX-License-Identifier: GPL-2.0-only
"""C to Python: the functions of a patch as a Series for the ports, by the idioms of docs/explanation/porting.md."""
