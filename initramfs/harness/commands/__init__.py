# SPDX-License-Identifier: GPL-2.0-only
"""Commands of ``kemu`` that need this port: entry points of the group ``kemu.commands``."""
