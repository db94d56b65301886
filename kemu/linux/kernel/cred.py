# SPDX-License-Identifier: GPL-2.0-only
"""New credentials (kernel/cred.c)."""
from __future__ import annotations

from kemu.linux.include.cred import Cred, current_cred
from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.machine import should_fail

C = "kernel/cred.c"


@custom(C, "prepare_creds", "the ids, capabilities and groups that are looked at here")
def prepare_creds() -> Cred | None:
    """``struct cred *prepare_creds(void)``: a copy of the current ones, to be changed. Return: None: -ENOMEM."""
    if this.chooser is not None and should_fail("failslab", "prepare_creds"):
        return None
    old = current_cred()
    return Cred(old.fsuid, old.fsgid, old.caps, old.groups)
