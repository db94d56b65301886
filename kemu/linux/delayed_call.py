# SPDX-License-Identifier: GPL-2.0-only
"""A function to be called later, once (include/linux/delayed_call.h): how a symlink's text is given back."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import dup

P = "include/linux/delayed_call.h"


@dup(P)
class delayed_call:
    """``struct delayed_call``"""

    __slots__ = ("arg", "fn")

    def __init__(self) -> None:
        self.fn: Any = None
        self.arg: Any = None


@dup(P)
def set_delayed_call(call: delayed_call, fn: Any, arg: Any) -> None:
    """``void set_delayed_call(struct delayed_call *call, void (*fn)(void *), void *arg)``"""
    call.fn = fn
    call.arg = arg


@dup(P)
def do_delayed_call(call: delayed_call) -> None:
    """``void do_delayed_call(struct delayed_call *call)``"""
    if call.fn is not None:
        call.fn(call.arg)


@dup(P)
def clear_delayed_call(call: delayed_call) -> None:
    """``void clear_delayed_call(struct delayed_call *call)``"""
    call.fn = None
