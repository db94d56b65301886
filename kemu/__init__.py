# SPDX-License-Identifier: GPL-2.0-only
__role__ = "tool"        # kemu.machine.roles
