# SPDX-License-Identifier: GPL-2.0-only
"""``kemu demo``: the main job on a real image, with what it cost."""
from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from kemu.cli.common import EXIT_FAILED, EXIT_OK, CommandError, errno_text
from kemu.cli.values import check_file, count, name_of_file, seconds
from kemu.report.terminal import Wait
from kemu.samples import sample

HELP = "mount a real compressed image at every byte offset of a page, through the block device and from memory, and compare"
PAGE = 4096
COSTS = (("bytes_copied", "bytes copied"), ("bytes_decompressed", "bytes decompressed"), ("bios", "bios"),
         ("block_crossings", "block layer crossings"),
         ("folios_cached", "folios cached"), ("pages_peak", "pages at most"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu demo``."""
    parser.add_argument("image", nargs="?", type=name_of_file, metavar="IMAGE",
                        help="another EROFS image (default: sample:demo.erofs)")
    parser.add_argument("--step", type=count(1, PAGE), default=1, metavar="N", help="only every N-th offset")
    parser.add_argument("--workers", type=count(1, 4096), default=os.cpu_count() or 1, metavar="N",
                        help="processes (default: one a core)")
    parser.add_argument("--review-seconds", type=seconds, default=12, metavar="S", help="how long to look at the posted memback")
    parser.add_argument("--no-review", action="store_true", help="leave the posted memback out")


def _digest(image: bytes, backend: str, at: int) -> tuple[str, int, dict[str, int]]:
    from kemu.report.manifest import ordered  # start-up
    from kemu.report.walk import walk  # start-up

    from erofs_memback.harness.mount import mounted  # start-up

    with mounted(image, backend=backend, at=at) as m:
        entries = ordered(walk(m.path))
        counters = m.machine.counters.as_dict()
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest(), len(entries), counters


def _first(image: bytes, backend: str, at: int) -> tuple[str, int, dict[str, int]]:
    """What cannot be mounted at all ends the demo with the kernel's answer."""
    from kemu.machine.splat import Splat  # start-up

    from erofs_memback.harness.mount import MountError  # start-up

    try:
        return _digest(image, backend, at)
    except MountError as e:
        raise CommandError(f"{errno_text(e.errno)}: {e.message or 'the kernel logged nothing'}") from None
    except Splat as e:
        raise CommandError(e.title) from None


def _offsets(image: bytes, offsets: list[int]) -> list[tuple[str, int, str]]:
    out = []
    for at in offsets:
        for backend in ("bdev", "memback"):
            out.append((backend, at, _digest(image, backend, at)[0]))
    return out


def _kemu(*args: str) -> str:
    """What another ``kemu`` command prints."""
    p = subprocess.run([sys.executable, "-m", "kemu", *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if p.returncode not in (EXIT_OK, EXIT_FAILED):
        raise CommandError(p.stderr.strip() or f"kemu {args[0]} ended with {p.returncode}", p.returncode)
    return p.stdout


def _posted(limit: float) -> None:
    """The memback that was posted, under the same experiments: found, shrunk, replayed, on one screen."""
    found = json.loads(_kemu("review", "erofs-memback-rfc", "--seconds", str(limit), "--json"))
    findings = found["findings"]
    print(f"\nthe memback posted on 2026-06-18, {found['examples']} examples in {found['seconds']:.0f} s: {len(findings)} "
          f"findings")
    for f in findings:
        where = f["c_location"].removesuffix(" (as posted 2026-06-18)") or "-"
        print(f"  {f['severity']:<9}{f['detector']:<11}{where:<50.49}{_short(f['title'])}")
    if not findings:
        return
    worst = findings[0]["severity"]
    token = min((f["token"] for f in findings if f["severity"] == worst), key=len)
    print(f"\nand again, from its token:  kemu replay {token}")
    lines = _kemu("replay", token).splitlines()
    for line in lines[:12]:
        print("  " + line[:150])


def _short(title: str) -> str:
    return title if len(title) <= 84 else title[:81] + "..."


def run(args: argparse.Namespace) -> int:
    """``kemu demo``; its exit code."""
    path = Path(check_file(args.image or sample("demo.erofs"), "an EROFS image"))
    image = path.read_bytes()
    offsets = list(range(0, PAGE, args.step))
    want, inodes, bdev = _first(image, "bdev", 0)
    _, _, memback = _first(image, "memback", 1)
    print(f"{path.name}: {len(image)} bytes, mounted through a block device and from memory at {len(offsets)} offsets of a "
          f"{PAGE}-byte page")
    start = time.perf_counter()
    wrong: list[tuple[str, int]] = []
    wait = Wait(args.quiet, args.no_color)
    done = 0
    workers = max(1, args.workers)
    chunks = [offsets[i::workers * 8] for i in range(workers * 8)]
    chunks = [c for c in chunks if c]
    with ProcessPoolExecutor(workers) as pool:
        for result in pool.map(_offsets, [image] * len(chunks), chunks):
            done += len(result)
            wrong += [(b, at) for b, at, d in result if d != want]
            wait(f"{done} of {2 * len(offsets)} mounts", done, 2 * len(offsets))
    took = time.perf_counter() - start
    wait.clear()
    print(f"{done} mounts, every file of {inodes} inodes read: {len(wrong)} differ; {took:.1f} s, {done / took:.0f} mounts/s on "
          f"{workers} cores")
    for backend, at in wrong[:5]:
        print(f"  differs: {backend} at offset {at}")
    print(f"\n{'one mount with all files read':<34}{'bdev':>10}{'memback':>10}")
    for name, label in COSTS:
        print(f"{label:<34}{bdev[name]:>10}{memback[name]:>10}")
    if not args.no_review and not args.image:
        sys.stdout.flush()
        _posted(args.review_seconds)
    return EXIT_FAILED if wrong else EXIT_OK
