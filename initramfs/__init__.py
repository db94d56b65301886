# SPDX-License-Identifier: GPL-2.0-only
__role__ = "port"        # kemu.machine.roles
