# SPDX-License-Identifier: GPL-2.0-only
"""Who decides: choices, search, shrinking, sweeps, tokens."""
__role__ = "explorer"        # kemu.machine.roles
