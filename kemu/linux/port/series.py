# SPDX-License-Identifier: GPL-2.0-only
"""Patch series for ported code."""
from kemu.linux.port.honesty import names
from kemu.machine.series import Series

names("custom", "Documentation/process/submitting-patches.rst", "Series",
      how="replaces functions of a port while a machine runs that has the series")

__all__ = ["Series"]
