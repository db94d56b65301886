# SPDX-License-Identifier: GPL-2.0-only
"""Use before register: a file system type that is asked for by name while the initcall that registers it has not run yet."""
from __future__ import annotations

from kemu.check.watch import Detector
from kemu.check.where import port_site
from kemu.linux.fs.filesystems import find_filesystem
from kemu.machine.machine import Machine


class InitOrder(Detector):
    """Remembers every name that was asked for in vain."""

    name = "initorder"

    def __init__(self) -> None:
        self.missed: dict[str, str] = {}        # name -> who asked first

    def on_no_fs_type(self, fs: str) -> None:
        self.missed.setdefault(fs, port_site())

    def too_early(self, m: Machine) -> list[str]:
        """One line for each of them that is registered by now. ``m`` is the current machine."""
        return [f"{fs} used before its initcall has registered it, in {who}" for fs, who in self.missed.items()
                if find_filesystem(fs) is not None]


__all__ = ["InitOrder"]
