# SPDX-License-Identifier: GPL-2.0-only
"""What a root costs, counted: from the first instruction until /init can be opened, until 10 %, 50 % and all of the files have
been read, and what of it stays when the init program has gone to another root.
"""
from __future__ import annotations

import errno
import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from kemu.forge.cpio import trailer
from kemu.machine.boot import BootResult, memory_for, newc_entry
from kemu.machine.current import this
from kemu.machine.initcalls import compare as compare_tables
from kemu.machine.initcalls import load
from kemu.machine.machine import Machine
from kemu.machine.region import Region
from kemu.machine.series import Series, SeriesError, ShortForms
from kemu.machine.shadow import RELEASED_INIT

from initramfs.harness import designs, userspace
from initramfs.harness.boots import boot_initrd
from initramfs.harness.trials import INIT, _file
from initramfs.segments import EROFS_SUPER_MAGIC, split

__role__ = "harness"
POINTS = ("init", "10%", "50%", "all")
COUNTED = ("bytes_copied", "bytes_decompressed", "pages_allocated", "kmalloc_bytes", "folios_cached", "block_crossings", "bios",
           "bytes_to_reader")
IN_RAM = ("rootfs", "ramfs", "tmpfs", "devtmpfs")       # their page cache is the only copy: it cannot be dropped


def kind_of(path: str) -> str:
    """"erofs", "row" (of segments, of which an image is one) or "cpio" (in whatever form)."""
    with open(path, "rb") as f:
        data = f.read(1028)
        if data[1024:1028] == EROFS_SUPER_MAGIC and data[:5] != b"07070":
            return "erofs"
        data += f.read()
    if EROFS_SUPER_MAGIC not in data:
        return "cpio"
    with Machine(memory=memory_for(len(data))) as m:
        r = m.place(data, 0, "linear", "initrd", True)
        return "cpio" if isinstance(split(r.addr, r.addr + r.size), int) else "row"


def designs_for(path: str) -> tuple[str, ...]:
    """The designs that boot this initrd."""
    return {"erofs": ("initerofs-rfc", "layered", "initoverlayfs"), "row": ("layered",), "cpio": ("upstream",)}[kind_of(path)]


def small_archive() -> bytes:
    """The initramfs of initoverlayfs: /dev and its storage init."""
    return newc_entry("dev", 0o040755, 2, 0, 0, 1) + _file("init", INIT, 0o100755, 2) + trailer().encode()


# ------------------------------------------------------------------------- what is in the page cache, and whose

def _filesystems() -> list[Any]:
    from kemu.linux.fs.super import g  # noqa: PLC0415  (only these designs need it)

    return list(g.super_blocks)


def _mappings() -> Iterator[tuple[Any, Any]]:
    """(superblock, mapping) of every inode with cached pages."""
    for sb in _filesystems():
        for inode in sb.s_inodes:
            if inode.i_data.nrpages:
                yield sb, inode.i_data


def _cached_bytes(mapping: Any, page_size: int) -> int:
    """Bytes of a mapping's folios that lie within its file."""
    size = mapping.host.i_size
    return sum(max(0, min(page_size, size - index * page_size)) for index in mapping.i_pages)


def cached_beside(initrd: Region, kept: Any) -> int:
    """Bytes of the page cache whose contents the initrd's memory, still reserved, has as well: they are in memory twice."""
    from initramfs import initerofs_blkdev_rfc as rfc  # noqa: PLC0415  (only these designs need it)

    m = initrd.machine
    total = 0
    for sb, mapping in _mappings():
        if sb.s_type.name == "bdev":
            disk = mapping.host.bdev.bd_disk
            at = rfc.g.initerofs_data if disk.fops is rfc.initerofs_fops else 0
        else:
            memback = getattr(sb.s_fs_info, "memback", None)
            disk = sb.s_bdev.bd_disk if sb.s_bdev is not None else None
            at = (memback.data if memback is not None else rfc.g.initerofs_data if disk is not None
                  and disk.fops is rfc.initerofs_fops else 0)
        if at and initrd.contains(at) and kept(m.mem.pfn_of(at)):
            total += _cached_bytes(mapping, m.mem.page_size)
    return total


def memory_now(m: Machine, initrd: Region) -> dict[str, int]:
    """What is in use: of the initrd, in the page cache (that of ramfs and tmpfs apart, which cannot be dropped), elsewhere; in
    bytes.
    """
    def kept(pfn: int) -> bool:
        return m.mem.get_state(pfn) != RELEASED_INIT

    size = m.mem.page_size
    first, last = m.mem.pfn_of(initrd.addr), m.mem.pfn_of(initrd.addr + initrd.size - 1)
    files = {"page_cache": 0, "page_cache_in_ram": 0}
    for sb, mapping in _mappings():
        files["page_cache_in_ram" if sb.s_type.name in IN_RAM else "page_cache"] += mapping.nrpages * size
    in_use = m.counters.pages_in_use * size
    return {"initrd": sum(kept(pfn) for pfn in range(first, last + 1)) * size, **files,
            "other": in_use - sum(files.values()), "cached_beside_the_initrd": cached_beside(initrd, kept)}


# ------------------------------------------------------------------------- one boot

def measure(design: str, path: str, short: Sequence[ShortForms] = (), series: Sequence[Series] = ()) -> dict[str, Any]:
    """One boot without detectors; numbers are the same every time, also with ``short`` forms. ``series``: on top of the
    design's.
    """
    from kemu.linux.security import lsm_calls  # noqa: PLC0415  (only these designs need it)

    from initramfs.harness.boot_views import mounts  # noqa: PLC0415  (only these designs need it)

    d = designs.find(design)
    if series:
        d = replace(d, name=" + ".join([design, *(s.name for s in series)]), series=(*d.series, *series))
    out: dict[str, Any] = {"design": d.name, "initrd": path, "kind": kind_of(path), "page_size": 0, "ended": "", "files": 0,
                           "points": {}}

    def mark(m: Machine, point: str) -> None:
        now = m.counters.as_dict()
        out["points"][point] = {k: now[k] for k in COUNTED}

    def looks() -> None:
        mark(this.machine, "init")

    def after(result: BootResult) -> None:
        m = result.machine
        out["ended"] = result.ended
        out["page_size"] = m.mem.page_size
        if not result.ok:
            out["error"] = str(result.error).split("\n")[0]
            return
        out["hooks"] = lsm_calls()
        out["files"] = len(files)
        stops = {"10%": -(-len(files) // 10), "50%": -(-len(files) // 2), "all": len(files)}
        bytes_read = 0
        for point in POINTS[1:] if not files else ():
            mark(m, point)
        for i, f in enumerate(files, 1):
            n = userspace.read_file(f)
            if n < 0:
                out["ended"], out["error"] = "error", f"read of {f}: {errno.errorcode.get(-n, n)}"
                return
            bytes_read += n
            for point, stop in stops.items():
                if i == stop:
                    mark(m, point)
        out["bytes_read"] = bytes_read
        assert result.initrd is not None
        out["memory"] = memory_now(m, result.initrd)
        done = userspace.switch_root()
        out["switch_root"] = {**done, **memory_now(m, result.initrd),
                              "mounts": [f"{x['type']} {x['mountpoint']}" for x in mounts()]}

    # a boot of its own finds the files' names: reading directories shall not be among what their contents cost
    files: list[str] = []
    boot = functools.partial(boot_initrd, small_archive() if d.image else path, design=d, rodata="plain",
                             second_image=path if d.image else None, looks=looks, tree=False,
                             short=short)
    boot(after=lambda result: files.extend(userspace.regular_files() if result.ok else ()))
    out["points"].clear()
    boot(after=after)
    out["initcalls_moved"] = sum(line.startswith(">") for line in compare_tables(load(), d.table(load()) or []))
    return out


def measure_all(paths: list[str], only: tuple[str, ...] = (), short: Sequence[ShortForms] = (),
                series: Sequence[Series] = ()) -> list[dict[str, Any]]:
    """Each initrd with each design that boots it, or with those of ``only``; ``series``: each of them once more, with these on
    top of it, where they apply. SeriesError if that is nowhere, or not where ``only`` wants it.
    """
    out, misfits = [], []
    for path in paths:
        for d in only or designs_for(path):
            out.append(measure(d, path, short))
            if series:
                try:
                    out.append(measure(d, path, short, series))
                except SeriesError as e:
                    misfits.append(e)
                    if only:
                        raise
    if len(misfits) and len(misfits) == len(out):
        raise misfits[0]
    return out
