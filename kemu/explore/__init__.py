# SPDX-License-Identifier: GPL-2.0-only
__role__ = "explorer"        # kemu.machine.roles
