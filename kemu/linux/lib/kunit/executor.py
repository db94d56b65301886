# SPDX-License-Identifier: GPL-2.0-only
"""The place of KUnit in a boot (include/kunit/test.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.machine.current import this

C = "lib/kunit/executor.c"


@custom(C, "kunit_run_all_tests", "runs what the machine's 'kunit' part has: functions, in this place of the boot")
def kunit_run_all_tests() -> None:
    """``int kunit_run_all_tests(void)``: before wait_for_initramfs(), so built-in tests race with the unpacking worker."""
    for fn in this.machine.parts.get("kunit", ()):
        fn()
