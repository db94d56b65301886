# SPDX-License-Identifier: GPL-2.0-only
"""Patch series for ported code."""
from kemu.linux.honesty import names
from kemu.machine.series import Series, Unedited

names("custom", "Documentation/process/submitting-patches.rst", "Series", how="replaces functions of a port while a machine runs that has the series")

names("custom", "Documentation/process/submitting-patches.rst", "Unedited", how="whether a loop may stand for the functions that it repeats")

__all__ = ["Series", "Unedited"]
