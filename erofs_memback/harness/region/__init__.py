# SPDX-License-Identifier: GPL-2.0-only
"""How the C of these series mounts from memory: pages of Python and of C (docs/how-to/own-back-end.md)."""
__role__ = "harness"
