# SPDX-License-Identifier: GPL-2.0-only
"""What ``kemu compare`` prints: everything, or a table of 75 columns that can go into a cover letter."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from initramfs.harness.compare import POINTS

__role__ = "harness"
Result = dict[str, Any]
WIDTH = 75
HEADS = {"init": ("until", "/init"), "10%": ("10 % of", "files"), "50%": ("50 % of", "files"), "all": ("all", "files")}
# label, counter, in pages
COUNTED = (("bytes copied", "bytes_copied", False), ("bytes decompressed", "bytes_decompressed", False),
           ("bytes of pages allocated", "pages_allocated", True),
           ("bytes of kmalloc", "kmalloc_bytes", False), ("bytes put into the page cache", "folios_cached", True),
           ("block layer crossings", "block_crossings", False), ("bios", "bios", False),
           ("bytes given to the reader", "bytes_to_reader", False))
MEMORY = (("initrd", "initrd"), ("page cache that can be dropped", "page_cache"),
          ("files in ramfs and tmpfs", "page_cache_in_ram"),
          ("other pages", "other"), ("cached beside the initrd", "cached_beside_the_initrd"))


def value(r: Result, point: str, counter: str, pages: bool) -> int:
    """A counter of a result at a point."""
    return int(r["points"][point][counter]) * (r["page_size"] if pages else 1)


def complete(r: Result) -> bool:
    """It booted, and all of its files were read."""
    return r["ended"] == "init" and "switch_root" in r


# ------------------------------------------------------------------------- text

def text(results: Sequence[Result]) -> list[str]:
    """Every figure of every design, in bytes and numbers."""
    out: list[str] = []
    for r in results:
        out += [*([""] if out else []), f"{r['design']}: {r['initrd']}"]
        if not complete(r):
            out.append(f"  ended: {r['ended']}{': ' + r['error'] if r.get('error') else ''}")
            continue
        out.append(f"  {r['files']} files, {r['bytes_read']} bytes")
        out.append(f"  {'':32}" + "".join(f"{' '.join(HEADS[p]):>15}" for p in POINTS))
        out += [f"  {label:32}" + "".join(f"{value(r, p, counter, pages):>15}" for p in POINTS)
                for label, counter, pages in COUNTED]
        s = r["switch_root"]
        out.append(f"  {'bytes in memory':32}{'all files':>15}{'switch_root':>15}")
        out += [f"  {label:32}{r['memory'][key]:>15}{s[key]:>15}" for label, key in MEMORY]
        how = ("files deleted, " if s["deleted"] else "") + s["way"] + (f", error {s['error']}" if s["error"] else "")
        out.append(f"  switch_root: {how}; mounted after it: {', '.join(s['mounts'])}")
        hooks = ", ".join(f"{name} {n}" for name, n in sorted(r["hooks"].items())) or "none"
        out.append(f"  initcalls moved: {r['initcalls_moved']}; security hooks run: {hooks}")
    return out


# ------------------------------------------------------------------------- the table

def _kib(n: int) -> str:
    return str(-(-n // 1024))


def _names(results: Sequence[Result], width: int) -> list[str]:
    """``INITRD, DESIGN``, cut to ``width``."""
    out = []
    for r in results:
        room = width - len(r["design"]) - 4
        name = os.path.basename(r["initrd"])
        out.append(f"  {name if len(name) <= room else name[:room - 1] + '~'}, {r['design']}")
    return out


def _section(title: str, heads: Sequence[tuple[str, str]], results: Sequence[Result],
             cells: Callable[[Result], list[str]]) -> list[str]:
    column = 10
    left = WIDTH - column * len(heads)
    first, second = ("".join(f"{h[i]:>{column}}" for h in heads) for i in (0, 1))
    out = [f"{'':{left}}{first}", f"{title:{left}}{second}"]
    for name, r in zip(_names(results, left), results, strict=True):
        out.append(f"{name:{left}}" + ("".join(f"{c:>{column}}" for c in cells(r)) if complete(r) else "   no boot"))
    return [line.rstrip() for line in out]


def table(results: Sequence[Result]) -> list[str]:
    """For a cover letter: plain text, 75 columns, KiB rounded up."""
    points = [HEADS[p] for p in POINTS]
    good = next((r for r in results if complete(r)), None)
    what = (f"{good['files']} files, {_kib(good['bytes_read'])} KiB; " if good is not None
            and len({(r.get('files'), r.get('bytes_read')) for r in results}) == 1 else "")
    out = [f"{what}counted by kemu, KiB unless said otherwise"]
    for title, counter, pages in (("copied", "bytes_copied", False), ("decompressed", "bytes_decompressed", False),
                                  ("pages allocated", "pages_allocated", True)):
        def row(r: Result, counter: str = counter, pages: bool = pages) -> list[str]:
            return [_kib(value(r, p, counter, pages)) for p in POINTS]
        out += ["", *_section(title, points, results, row)]

    def after(r: Result) -> list[str]:
        s = r["switch_root"]
        return [_kib(s[k]) for k in ("initrd", "page_cache_in_ram", "page_cache", "other")]

    def rest(r: Result) -> list[str]:
        return [_kib(r["memory"]["cached_beside_the_initrd"]), str(value(r, "all", "block_crossings", False)),
                str(r["initcalls_moved"]),
                str(sum(r["hooks"].values()))]
    out += ["", *_section("stays after switch_root", [("", "initrd"), ("files in", "tmpfs"), ("page", "cache"),
                                                      ("other", "pages")], results, after)]
    out += ["", *_section("all files read", [("cached", "twice"), ("block", "layer (n)"), ("initcalls", "moved (n)"),
                                             ("hooks", "run (n)")], results, rest)]
    return out
