# SPDX-License-Identifier: GPL-2.0-only
"""Ending a search from outside: the first signal asks it to end with what it has, the second ends it at once."""
from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Asked between examples; ``signal`` is the name of what asked for the end, or empty."""

    def __init__(self) -> None:
        self.signal = ""

    def __bool__(self) -> bool:
        return bool(self.signal)


@contextmanager
def on_signals(stop: Stop, told: Callable[[str], None] = lambda name: None) -> Iterator[Stop]:
    """Inside, SIGINT, SIGTERM and SIGHUP set ``stop`` and call ``told``; one more raises ``KeyboardInterrupt``. An ignored signal
    (nohup) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def asked(number: int, frame: Any) -> None:
        if stop:
            raise KeyboardInterrupt
        stop.signal = signal.Signals(number).name
        told(stop.signal)

    old = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in old.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, asked)
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
