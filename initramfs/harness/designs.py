# SPDX-License-Identifier: GPL-2.0-only
"""The designs of an initial root file system: how a kernel is built with each."""
from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from kemu.machine.initcalls import Entry, Initcalls, load
from kemu.machine.machine import Machine
from kemu.machine.series import Series

__role__ = "harness"
DESIGNS = ("upstream", "initerofs-rfc", "layered", "initoverlayfs")


@dataclass(frozen=True)
class Design:
    """How a kernel is built with a design: its series and options, its initcalls. ``image``: it takes a second image."""

    name: str
    series: tuple[Any, ...] = ()
    config: dict[str, bool] = field(default_factory=dict)
    initcalls: Callable[[Iterable[Entry]], list[Entry]] | None = None       # the build's table with what the design moves
    image: bool = False
    setup: Callable[[Machine], None] | None = None                          # of the machine: a disk, programs

    def table(self, initcalls: Iterable[Entry] | None = None) -> list[Entry] | None:
        """The initcalls of this design's build, from another build's table if there is one; None: as the kernel has them."""
        if self.initcalls is not None:
            return self.initcalls(list(initcalls) if initcalls is not None else load())
        return list(initcalls) if initcalls is not None else None

    def build(self, m: Machine, initcalls: Iterable[Entry] | None = None) -> None:
        """Make ``m`` a machine with a kernel of this design."""
        table = self.table(initcalls)
        if table is not None:
            m.part(Initcalls).table = table
        if self.setup is not None:
            self.setup(m)


def find(name: str) -> Design:
    """A design by its name."""
    if name == "upstream":
        return Design("upstream")
    if name == "initerofs-rfc":
        from initramfs import initerofs_rfc as rfc  # noqa: PLC0415  (only this design needs it)

        return Design(name, (rfc.series,), rfc.config, rfc.initcalls)
    if name == "layered":
        from initramfs import layered  # noqa: PLC0415  (only this design needs it)

        return Design(name, layered.all_series(), layered.config)
    if name == "initoverlayfs":
        from initramfs import initoverlayfs  # noqa: PLC0415  (only this design needs it)

        return Design(name, (), initoverlayfs.config, image=True, setup=initoverlayfs.prepare)
    raise LookupError(name)


def asks_to_verify(cmdline: str) -> bool:
    """Whether ``initrd_segments=`` is in it; in names of parameters - and _ are the same."""
    return any(word.strip('"').partition("=")[0].replace("-", "_") == "initrd_segments" for word in cmdline.split())


def for_cmdline(d: Design, cmdline: str) -> Design:
    """The design with what the command line asks for: ``initrd_segments=`` takes a kernel that verifies.

    The posted code knows nothing of that; what is refused is gone before it looks.
    """
    if not asks_to_verify(cmdline) or d.name == "layered":
        return d
    from initramfs import verify  # noqa: PLC0415  (only this design needs it)

    config = {**d.config, **verify.config}
    if d.name != "initerofs-rfc":
        return replace(d, series=(*d.series, verify.series, verify.upstream), config=config)
    return replace(d, series=(*d.series, verify.series, _refused_before()), config=config)


@functools.cache
def _refused_before() -> Series:
    """What is refused is gone before the posted populate_rootfs() looks at it."""
    from initramfs import initerofs_rfc as rfc  # noqa: PLC0415  (only this design needs it)
    from initramfs import verify  # noqa: PLC0415  (only this design needs it)

    s = Series("initrd-verify-rfc", ("initramfs",), "populate_rootfs() asks")
    s.edits(rfc.populate_rootfs, ("""\
def populate_rootfs() -> int:
""", """\
def populate_rootfs() -> int:
    drop_refused()
"""), names={"drop_refused": verify.drop_refused})
    return s
