# SPDX-License-Identifier: GPL-2.0-only
"""Pressure stall information (include/linux/psi.h)."""
from __future__ import annotations

from kemu.linux.honesty import stub
from kemu.linux.types import Ref


@stub("include/linux/psi.h", how="no pressure is accounted")
def psi_memstall_enter(flags: Ref) -> None:
    """``void psi_memstall_enter(unsigned long *flags)``"""


@stub("include/linux/psi.h", how="no pressure is accounted")
def psi_memstall_leave(flags: Ref) -> None:
    """``void psi_memstall_leave(unsigned long *flags)``"""
