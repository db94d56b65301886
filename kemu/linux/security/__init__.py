# SPDX-License-Identifier: GPL-2.0-only
"""security/ of the kernel tree; and what include/linux/security.h gives to whoever imports it, which stands in
kemu/linux/faces/security.py.

A folder and a module cannot both have the name, and the bodies in the folder are below the face. So the face is loaded when it is
asked.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kemu.linux.faces.security import *  # noqa: F403


def __getattr__(name: str) -> Any:
    if name.endswith("__"):
        raise AttributeError(name)          # what Python itself asks of a module
    from kemu.linux.faces import security  # noqa: PLC0415  (it stands on this folder)

    return getattr(security, name)
