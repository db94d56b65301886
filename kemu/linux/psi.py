# SPDX-License-Identifier: GPL-2.0-only
"""Pressure stall information (include/linux/psi.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import stub
from kemu.linux.types import Ref

P = "include/linux/psi.h"


@stub(P, how="no pressure is accounted")
def psi_memstall_enter(flags: Ref) -> None:
    """``void psi_memstall_enter(unsigned long *flags)``"""


@stub(P, how="no pressure is accounted")
def psi_memstall_leave(flags: Ref) -> None:
    """``void psi_memstall_leave(unsigned long *flags)``"""
