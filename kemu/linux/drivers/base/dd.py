# SPDX-License-Identifier: GPL-2.0-only
"""Waiting for drivers to probe their devices (drivers/base/dd.c)."""
from __future__ import annotations

from kemu.linux.port.honesty import stub

C = "drivers/base/dd.c"


@stub(C, "wait_for_device_probe", "nothing is probed asynchronously")
def wait_for_device_probe() -> None:
    """``void wait_for_device_probe(void)``"""


@stub(C, "driver_probe_done", "nothing is probed asynchronously")
def driver_probe_done() -> bool:
    """``bool driver_probe_done(void)``: True."""
    return True
