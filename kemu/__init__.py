# SPDX-License-Identifier: GPL-2.0-only
"""An emulated Linux kernel, and the tools that find faults of what is ported to it."""
__role__ = "tool"        # kemu.machine.roles
