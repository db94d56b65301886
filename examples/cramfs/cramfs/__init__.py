# SPDX-License-Identifier: GPL-2.0-only
"""fs/cramfs of Linux 7.2 as a port of kemu, in a folder of its own: an example of a third port."""
__role__ = "port"        # kemu.machine.roles
