# SPDX-License-Identifier: GPL-2.0-only
"""The place of KUnit in a boot (lib/kunit/executor.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.port.honesty import custom
from kemu.machine.current import this

C = "lib/kunit/executor.c"


@custom(C, "kunit_suite_set", "functions")
class Suites:
    """The tests that are built into one machine's kernel."""

    __slots__ = ("tests",)

    def __init__(self) -> None:
        self.tests: list[Callable[[], Any]] = []


@custom(C, "kunit_run_all_tests", "runs what the machine's Suites have, in this place of the boot")
def kunit_run_all_tests() -> None:
    """``int kunit_run_all_tests(void)``: before wait_for_initramfs(), so built-in tests race with the unpacking worker."""
    for fn in this.machine.part(Suites).tests:
        fn()
