# SPDX-License-Identifier: GPL-2.0-only
__role__ = "api"        # kemu.machine.roles
