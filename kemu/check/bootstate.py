# SPDX-License-Identifier: GPL-2.0-only
"""What must hold when a boot is over: no file, no buffer, no work left over, and the initrd's memory given back or exported."""
from __future__ import annotations

from typing import Any

from kemu.linux.atomic import atomic_read
from kemu.linux.fs.file_table import g as files
from kemu.linux.fs.namespace import g, next_mnt
from kemu.linux.fs.namespace import g as mounts
from kemu.linux.init_syscalls import Descriptors
from kemu.linux.initrd import initrd
from kemu.machine.boot import Boot, InitMemory
from kemu.machine.machine import Machine
from kemu.machine.shadow import RELEASED_INIT


def leftovers(m: Machine) -> list[str]:
    """One line for each thing that a boot has left behind; empty for a clean one. ``m`` is the current machine."""
    out = []
    held = {id(f) for fds in m.part(Descriptors).of.values() for f in fds}
    n = files.nr_files - len(held)
    if n:
        out.append(f"{n} open file{'s' if n > 1 else ''} that no descriptor holds")
    if files.delayed_fput_list:
        out.append(f"{len(files.delayed_fput_list)} files wait for delayed_fput")
    if mounts.delayed_mntput_list:
        out.append(f"{len(mounts.delayed_mntput_list)} mounts wait for delayed_mntput")
    for t in m.sched.tasks:
        if t.pid == 1 and t.task_works:
            out.append(f"{len(t.task_works)} task works of PID 1 have not run")
    out += _buffers(m)
    out += _async()
    out += _initrd(m)
    return out


def _buffers(m: Machine) -> list[str]:
    links = {i.i_link for sb in _superblocks() for i in sb.s_inodes if type(i.i_link) is int}
    left = [o for a, o in m.slab.live.items() if a not in links]
    return ([f"{len(left)} kmalloc objects, the first of {left[0].size} bytes"
             + (f" by {left[0].allocated_by}" if left[0].allocated_by else "")] if left else [])


def _superblocks() -> set[Any]:
    ns = g.init_mnt_ns
    return {mnt.mnt_sb for mnt in next_mnt(ns.root)} if ns is not None and ns.root is not None else set()


def _async() -> list[str]:
    from kemu.linux.async_ import g  # noqa: PLC0415  (another one of that name is here)

    n = atomic_read(g.entry_count)
    return [f"{n} asynchronous calls have not ended"] if n else []


def _initrd(m: Machine) -> list[str]:
    out = []
    if initrd.initrd_start:
        out.append("initrd_start is still set")
    boot = m.part(Boot)
    r = boot.initrd
    if r is None or not m.part(InitMemory).reserved:
        return out
    shift = m.mem.shift
    first, last = (r.addr + m.mem.mask) >> shift, (r.addr + r.size) >> shift
    whole = max(last - first, 0)
    freed = sum(m.mem.get_state(m.mem.pfn_of(v << shift)) == RELEASED_INIT for v in range(first, last))
    if r.exported and freed:
        out.append(f"{freed} pages of the exported initrd are freed")
    elif not r.exported and freed != whole and boot.crashk_res is None:
        out.append(f"{whole - freed} of {whole} whole pages of the initrd belong to no one")
    return out


__all__ = ["leftovers"]
