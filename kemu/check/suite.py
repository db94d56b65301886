# SPDX-License-Identifier: GPL-2.0-only
"""The detectors that an experiment gets unless it asks for others."""
from __future__ import annotations

from kemu.check.atomic import AtomicSleep
from kemu.check.bios import Bios
from kemu.check.constdata import LentMemory
from kemu.check.initorder import InitOrder
from kemu.check.leaks import Leaks
from kemu.check.locks import HeldLocks, LockOrder
from kemu.check.objects import Objects
from kemu.check.pagecache import PageCache
from kemu.check.refs import FrozenPages, References
from kemu.check.stack import StackDepth
from kemu.check.state import GlobalState
from kemu.check.uninit import Uninitialised
from kemu.check.waits import Waits
from kemu.check.watch import Detectors
from kemu.check.windows import Windows


def all_detectors() -> Detectors:
    """One of each. In the order in which they judge the end of an operation: who waits, what is held, what is left, what is
    different.
    """
    return Detectors([Waits(), Objects(), References(), FrozenPages(), HeldLocks(), Leaks(), LockOrder(), PageCache(),
                      Uninitialised(), Bios(), AtomicSleep(),
                      LentMemory(), StackDepth(), Windows(), InitOrder(), GlobalState()])
