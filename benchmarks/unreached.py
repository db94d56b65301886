# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.unreached [--seconds S] [--write] [FILE...]``: what a search by coverage did not reach, with why.

The table of reasons is kept by hand; a function that is in it and reached whole is said, so that the table gets shorter.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "UNREACHED.md"
BOOT = "runs at boot only: the C rung unpacks archives, `kemu linux boot` boots"
INIT = "an error at boot: memory that there is not for a cache or a table when the file system registers itself"
DAX = "DAX: no device of the C rung (nor of ARCH=um) has it"
MMAP = "user mappings: a page fault needs mm/memory.c, which is not linked"
RACE = "two tasks at one time: the C rung switches tasks only where they sleep"
REASONS: dict[str, str] = {
    "do_populate_rootfs": BOOT, "populate_rootfs": BOOT, "reserve_initrd_mem": BOOT, "free_initrd_mem": BOOT,
    "wait_for_initramfs": BOOT, "retain_initrd_param": BOOT, "initramfs_async_setup": BOOT, "keepinitrd_setup": BOOT,
    "erofs_module_init": INIT, "z_erofs_init_subsystem": INIT, "z_erofs_gbuf_init": INIT, "z_erofs_init_decompressor": INIT,
    "erofs_init_sysfs": INIT, "erofs_init_ishare": INIT, "z_erofs_create_pcluster_pool": INIT, "erofs_init_shrinker": INIT,
    "z_erofs_deflate_init": INIT, "z_erofs_lzma_init": INIT, "z_erofs_zstd_init": INIT,
    "erofs_ishare_mmap": MMAP, "erofs_file_mmap_prepare": MMAP, "erofs_ishare_fadvise": "posix_fadvise(): no door asks it",
    "erofs_fc_fill_super": DAX + "; and memory that there is not", "erofs_init_device": DAX, "erofs_fill_from_devinfo": DAX,
    "z_erofs_register_pcluster": RACE, "z_erofs_bind_cache": RACE, "z_erofs_cache_invalidate_folio": RACE,
    "erofs_release_pages": RACE, "__erofs_allocpage": RACE,
}


def main() -> int:
    """Search, print and, if asked, write; the exit code."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.unreached",
                                description="What a search by coverage does not reach, and why.")
    p.add_argument("--seconds", type=int, default=600, help="how long (default: 600)")
    p.add_argument("--write", action="store_true", help="into UNREACHED.md")
    p.add_argument("file", nargs="*", default=["tests/data"],
                   help="what it begins with, besides forged inputs (default: tests/data)")
    p.add_argument("--corpus", help="where inputs and crashes are kept (default: nowhere)")
    args = p.parse_args()
    command = ["fuzz", "--coverage", "--seconds", str(args.seconds), *args.file]
    with tempfile.TemporaryDirectory() as nowhere:
        corpus = args.corpus or nowhere
        done = subprocess.run([sys.executable, "-m", "kemu", *command, "--json", "--corpus", corpus], stdout=subprocess.PIPE,
                              text=True, check=False)
    if done.returncode not in (0, 1):
        return done.returncode
    text = page(json.loads(done.stdout), " ".join(["kemu", *command]))
    print(text)
    if args.write:
        OUT.write_text(text)
    return 0


def percent(a: int, b: int) -> str:
    """A share as it is shown."""
    return f"{100 * a / max(b, 1):.1f} %"


def page(result: dict[str, Any], command: str) -> str:
    """The page."""
    lines, branches = result["lines"], result["branches"]
    out = ["# What a search by coverage reaches, and what not", "",
           f"`{command}` on one core of a shared machine: {result['executions']} executions in {result['seconds']:.0f} s, "
           f"{result['faults']} of them with a failing call, {result['kept']} inputs kept. "
           f"Lines: {percent(*lines)} of {lines[1]}; branches: {percent(*branches)} of {branches[1]} (gcov, at -O2). "
           "`python -m benchmarks.unreached --write` makes this page.",
           "", "| file | lines | branches |", "|---|---|---|"]
    out += [f"| {name} | {percent(f[0], f[1])} of {f[1]} | {percent(f[2], f[3])} of {f[3]} |"
            for name, f in result["files"].items()]
    missed: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for file, number, function, text in result["unreached"]:
        missed[file, function].append((number, text))
    for reason in [*dict.fromkeys(REASONS.values()), ""]:
        rows = {k: v for k, v in missed.items() if REASONS.get(k[1], "") == reason}
        if rows:
            count = sum(map(len, rows.values()))
            out += ["", f"## {count} lines: {reason or 'reachable as far as is known: gaps to close'}", ""]
            out += [f"- {file} {function}(): " + ", ".join(str(n) for n, _ in some) for (file, function), some in rows.items()]
    done = sorted(set(REASONS) - {f for _, f in missed})
    out += ["", f"Functions with a reason that are reached whole now: {', '.join(done) or 'none'}.", ""]
    return "\n".join(out)


if __name__ == "__main__":
    raise SystemExit(main())
