# SPDX-License-Identifier: GPL-2.0-only
"""What a root costs, counted: from the first instruction until /init can be opened, and until 10 %, 50 % and all of the files have been read."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kemu.forge.cpio import trailer
from kemu.machine.boot import newc_entry
from kemu.machine.initcalls import compare as compare_tables
from kemu.machine.initcalls import load
from kemu.machine.machine import Machine
from kemu.machine.memory import RELEASED_INIT

from initramfs import designs
from initramfs.experiments import INIT, _file
from initramfs.segments import EROFS_SUPER_MAGIC

__harness__ = True
POINTS = ("init", "10%", "50%", "all")
COUNTED = ("bytes_copied", "bytes_decompressed", "pages_allocated", "folios_cached", "block_crossings", "bios", "bytes_to_reader")


def kind_of(path: str) -> str:
    """"erofs" or "cpio" (in whatever form), by the first bytes."""
    with open(path, "rb") as f:
        head = f.read(1028)
    return "erofs" if head[1024:1028] == EROFS_SUPER_MAGIC else "cpio"


def designs_for(path: str) -> tuple[str, ...]:
    """The designs that boot this initrd."""
    return ("initerofs-rfc", "layered", "initoverlayfs") if kind_of(path) == "erofs" else ("upstream",)


def small_archive() -> bytes:
    """The initramfs of initoverlayfs: /dev and its storage init."""
    return newc_entry("dev", 0o040755, 2, 0, 0, 1) + _file("init", INIT, 0o100755, 2) + trailer().encode()


def regular_files(top: str = "") -> Iterator[str]:
    """Paths of the regular files that PID 1 sees, by name; no file is opened."""
    import os

    from kemu.linux import user as sys
    from kemu.linux.fcntl import O_DIRECTORY, O_RDONLY

    fd = sys.sys_open(top or "/", O_RDONLY | O_DIRECTORY)
    if isinstance(fd, int):
        return
    names: list[tuple[bytes, int]] = []
    while True:
        n, entries = sys.sys_getdents64(fd)
        if n <= 0:
            break
        names += [(name, kind) for name, _, _, kind in entries if name not in (b".", b"..")]
    sys.sys_close(fd)
    for name, kind in sorted(names):
        path = f"{top}/{os.fsdecode(name)}"
        if kind == 8:
            yield path
        elif kind == 4:
            yield from regular_files(path)


def read_file(path: str) -> int:
    from kemu.linux import user as sys
    from kemu.linux.fcntl import O_RDONLY

    fd = sys.sys_open(path, O_RDONLY)
    if isinstance(fd, int):
        return 0
    total = 0
    while True:
        n = sys.sys_read(fd, bytearray(65536), 65536)
        if n <= 0:
            break
        total += n
    sys.sys_close(fd)
    return total


def measure(design: str, path: str) -> dict[str, Any]:
    """One boot without detectors; numbers are the same every time."""
    from kemu.linux.security import lsm_calls

    d = designs.find(design)
    out: dict[str, Any] = {"design": design, "initrd": path, "points": {}}

    def mark(m: Machine, point: str) -> None:
        now = m.counters.as_dict()
        out["points"][point] = {k: now[k] for k in COUNTED}

    def prepare(m: Machine) -> None:
        m.parts["rodata"] = "plain"
        m.parts["looks_for_init"] = lambda: mark(m, "init") if not out["points"] else None
        if d.image:
            m.parts["second_image"] = path

    def after(result: Any) -> None:
        m = result.machine
        out["ended"] = result.ended
        if not result.ok:
            return
        files = list(regular_files())
        out["files"] = len(files)
        before = m.counters.as_dict()
        walked = {k: before[k] - out["points"]["init"][k] for k in COUNTED}
        stops = {max(1, len(files) // 10): "10%", max(1, len(files) // 2): "50%", len(files): "all"}
        for i, f in enumerate(files, 1):
            read_file(f)
            if i in stops:
                mark(m, stops[i])
        out["walk"] = walked
        out["points"] = {p: out["points"].get(p, out["points"]["all"]) for p in POINTS}
        r = result.initrd
        first, last = m.mem.pfn_of(r.addr), m.mem.pfn_of(r.addr + r.size - 1)
        out["initrd_pages_kept"] = sum(m.mem.get_state(pfn) != RELEASED_INIT for pfn in range(first, last + 1))
        out["pages_in_use"] = m.counters.pages_in_use
        out["page_size"] = m.mem.page_size
        kept = out["initrd_pages_kept"] * m.mem.page_size
        out["bytes_cached_beside_the_initrd"] = min(out["points"]["all"]["folios_cached"] * m.mem.page_size, kept) if kept > 2 * m.mem.page_size else 0
        out["hooks"] = sum(lsm_calls().values())

    designs.boot(d, small_archive() if d.image else path, prepare=prepare, after=after, tree=False)
    table = d.initcalls(load()) if d.initcalls is not None else list(load())
    out["initcalls_moved"] = sum(line.startswith(">") for line in compare_tables(load(), table))
    return out


def measure_all(paths: list[str]) -> list[dict[str, Any]]:
    return [measure(d, p) for p in paths for d in designs_for(p)]


ROWS = (("bytes copied until /init", "init", "bytes_copied"), ("bytes copied, all files read", "all", "bytes_copied"),
        ("bytes decompressed until /init", "init", "bytes_decompressed"), ("bytes decompressed, 10 % of files", "10%", "bytes_decompressed"),
        ("bytes decompressed, 50 % of files", "50%", "bytes_decompressed"), ("bytes decompressed, all files", "all", "bytes_decompressed"),
        ("pages allocated until /init", "init", "pages_allocated"), ("pages allocated, all files read", "all", "pages_allocated"),
        ("block layer crossings, all files read", "all", "block_crossings"))


def table(results: list[dict[str, Any]]) -> list[str]:
    """For a cover letter: one column a design, plain text."""
    import os

    head = ["", *(f"{r['design']}" for r in results)]
    rows = [["", *(os.path.basename(r["initrd"]) for r in results)]]
    for label, point, key in ROWS:
        rows.append([label, *(str(r["points"][point][key]) if "all" in r["points"] else "no boot" for r in results)])
    for label, key in (("initrd pages kept", "initrd_pages_kept"), ("bytes cached beside the initrd", "bytes_cached_beside_the_initrd"),
                       ("pages in use at the end", "pages_in_use"), ("initcalls moved", "initcalls_moved"), ("security hooks run", "hooks")):
        rows.append([label, *(str(r.get(key, "-")) for r in results)])
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return ["  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip() for row in [head, *rows]]
