# SPDX-License-Identifier: GPL-2.0-only
"""``static`` variables of ported files: one namespace for each machine, see kemu.machine.statics."""
from kemu.linux.port.honesty import names
from kemu.machine.statics import per_machine, statics

names("custom", "include/linux/compiler.h", "statics", "per_machine", how="static variables, one set a machine")

__all__ = ["per_machine", "statics"]
