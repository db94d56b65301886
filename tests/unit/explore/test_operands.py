# SPDX-License-Identifier: GPL-2.0-only
"""Whether NULL was used as an object is found from the operands, not from what the message says."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kemu.explore.finding import of_exception
from kemu.explore.operands import is_error_pointer, is_null


class Thing:
    __slots__ = ("link", "n")

    def __init__(self, link: Any = None) -> None:
        self.link = link
        self.n = 0


def nothing() -> Any:
    return None


def load(t: Any) -> Any:
    return t.link.link.n


def store(t: Any) -> None:
    t.link.n = 1


def call(t: Any) -> None:
    t.link()


def subscript(t: Any) -> Any:
    return t.link[3]


def add(t: Any) -> Any:
    return 1 + t.link


def compare(t: Any) -> bool:
    return t.link < 1


def iterate(t: Any) -> None:
    for _ in t.link:
        pass


def unpack(t: Any) -> Any:
    a, b = t.link
    return a


def length(t: Any) -> int:
    return len(t.link)


def of_a_call(t: Any) -> Any:
    return nothing()[0]


def count(t: Any) -> None:
    t.link += 1


def raised(fn: Callable[[Any], Any], arg: Any) -> Exception:
    with pytest.raises(Exception) as e:
        fn(arg)
    return e.value


@pytest.mark.parametrize("fn", [load, store, call, subscript, add, compare, iterate, unpack, length, of_a_call, count])
def test_null(fn: Callable[[Any], Any]) -> None:
    exc = raised(fn, Thing())
    assert is_null(exc) and not is_error_pointer(exc)
    assert of_exception(exc).title == f"BUG: kernel NULL pointer dereference in {fn.__name__}"


@pytest.mark.parametrize("fn", [load, store])
def test_an_error_pointer(fn: Callable[[Any], Any]) -> None:
    exc = raised(fn, Thing(2**64 - 12))
    assert is_error_pointer(exc) and not is_null(exc)
    assert "an error pointer is used as an object" in of_exception(exc).title


def test_a_message_that_speaks_of_nonetype_is_no_null_pointer() -> None:
    def says_so(t: Any) -> None:
        raise TypeError("'NoneType' is not what is wrong")

    def wrong_type(t: Any) -> Any:
        return "a" + t.n

    for fn in (says_so, wrong_type):
        exc = raised(fn, Thing())
        assert not is_null(exc) and "NULL" not in of_exception(exc).title
