# SPDX-License-Identifier: GPL-2.0-only
"""Flavours: what the kernel's C is compiled with, besides its own flags."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SHADOW = 0x100000000000                # of kernel-address: a byte of shadow for eight of memory

_ALL = ("-fPIC", "-mcmodel=small", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-fvisibility=hidden", "-g1")


@dataclass(frozen=True)
class Flavour:
    """``kernel``: flags for every object of the kernel; ``runtime``: parts of the runtime that only this flavour has; ``tested``:
    flags for the objects under test alone. ``objects``, ``folders``: of the kernel, that only this flavour has; ``script``: the
    linker's, of the runtime.
    """

    name: str
    kernel: tuple[str, ...]
    runtime: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    script: str = ""
    watched: bool = False              # calls out of the objects under test go by trampolines: watched.py

    @property
    def plain(self) -> bool:
        """Whether its objects are those that any flavour with its flags has."""
        return not (self.tested or self.objects or self.folders)

    def flags(self) -> tuple[str, ...]:
        """All that is added to kbuild's own."""
        return _ALL + self.kernel


_ASAN = ("-O2", "-fsanitize=kernel-address", f"-fasan-shadow-offset={SHADOW:#x}", "--param", "asan-globals=1",
         "--param", "asan-stack=1", "--param", "asan-instrumentation-with-call-threshold=100000")
# what objects are compiled with is kept with them, and outlives this checkout: the header is copied to them
WATCH = Path(__file__).parent / "runtime" / "watch.h"
WATCH_HERE = "kemu-watch.h"
_KUNIT = (("init/initramfs_test.o", "lib/glob.o"), ("lib/kunit",), "kunit.lds")

FLAVOURS = {f.name: f for f in (
    Flavour("plain", ("-O2",)),
    # what every load and store touches is asked of the shadow, and ours is the runtime that is told
    Flavour("asan", _ASAN, ("shadow",)),
    # the kernel wraps signed numbers on purpose (-fno-strict-overflow): no report of those
    Flavour("ubsan", ("-O2", "-fsanitize=shift,bounds-strict,integer-divide-by-zero,bool,enum,unreachable,vla-bound"),
            ("ubsan",)),
    # every basic block of what is tested tells of itself, and two that end alike are two: a search is steered by it
    Flavour("cov", ("-O2",), ("cov",),
            ("-fsanitize-coverage=trace-pc", "-fno-tree-tail-merge", "-fno-crossjumping")),
    # and counts, as CONFIG_GCOV_KERNEL does it: lines and branches
    Flavour("gcov", ("-O2",), ("gcov",), ("-fprofile-arcs", "-ftest-coverage", "-fno-tree-loop-im")),
    # everything at once, and what is called outside and which locks are taken is told: a series against its base
    Flavour("asan-review", _ASAN, ("shadow", "ubsan", "watch", "guards"),
            ("--param=asan-instrumentation-with-call-threshold=0",
             "-fsanitize=shift,bounds-strict,integer-divide-by-zero,bool,enum,unreachable,vla-bound",
             "-fsanitize-coverage=trace-pc,trace-cmp", "-fno-tree-tail-merge", "-fno-crossjumping",
             f"--include={WATCH_HERE}"), watched=True),
    # and the kernel's own suites, with lib/kunit
    Flavour("kunit", ("-O2",), ("kunit",), (), *_KUNIT),
    Flavour("kunit-asan", _ASAN, ("shadow", "kunit"), (), *_KUNIT),
)}
