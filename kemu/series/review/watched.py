# SPDX-License-Identifier: GPL-2.0-only
"""A kernel of the C rung that tells what the objects under test do."""
from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from errno import EIO
from typing import NamedTuple

from kemu.rung.c.build import Library
from kemu.rung.c.kernel import Instance, Kernel
from kemu.rung.c.watched import fallible
from kemu.series.review.guards import PLACE, Guards

TOLD, CALLS = 1024, 1016               # KEMU_TOLD, KEMU_TOLD_LOCKS
MEMORY = 512 << 20                     # bytes of RAM
TIMEOUT = 1.5                          # seconds of processor time after which a trial is a hang
UNWRITTEN = 0x6B
_SITES = 12
_TOLD = struct.Struct(f"<{6 + 2 * _SITES}I")
_CMP = struct.Struct("<QQII")
_VALUE = struct.Struct("<QHHHH")
_LEAVES_FILE = 3
_SHARED = frozenset({"down_read"})
_KINDS = ("a spinlock of the file", "a spinlock of the file", "a spinlock of an object", "a spinlock of an object", "RCU", "RCU",
          "RCU", "RCU")
_TAKE = {"mutex_lock": "a mutex", "down_read": "a semaphore for reading", "down_write": "a semaphore for writing",
         "mutex_lock_interruptible": "a mutex", "mutex_lock_killable": "a mutex"}
_TRY = {"mutex_trylock": "a mutex", "down_read_trylock": "a semaphore for reading", "__folio_lock": "a folio's lock",
        "out_of_line_wait_on_bit_lock": "a bit"}
_LEAVE = ("mutex_unlock", "up_read", "up_write")
# what takes something away from where others find it: in which order that is done matters
UNDONE = frozenset("""unregister_filesystem kobject_del kset_unregister shrinker_free kmem_cache_destroy rcu_barrier
destroy_workqueue kern_unmount kill_block_super kill_anon_super idr_destroy xz_dec_microlzma_end truncate_inode_pages_final
kobject_put wait_for_completion flush_delayed_fput async_synchronize_cookie_domain sysfs_remove_bin_file""".split())

# what ends that others come by, and what they may come to by it
WAYS = frozenset("unregister_filesystem kobject_del kset_unregister shrinker_free".split())
OBJECTS = frozenset("iput dput kern_unmount vunmap".split())


class Told(NamedTuple):
    """Calls of one function, or locks of one kind: how often, when first, whether from what is changed, how many are held; of one
    that can fail, by which ways it was called from there, and which call that was.
    """

    times: int
    first: int
    near: int
    held: int
    last: int
    sites: tuple[tuple[int, int], ...] = ()


class Watched(Kernel):
    """``failing``: (function, n, errno): its n-th call fails so, in the next trial."""

    def __init__(self, library: Library):
        super().__init__(library=library, timeout=TIMEOUT, memory=MEMORY, fill=UNWRITTEN)
        self.numbers = {name: i for i, name in enumerate(library.watched)}
        self.failing: tuple[str, int, int] = ("", 0, EIO)
        self.on = False
        self.soon = False                              # whether a grace period is over at once
        self.around: list[tuple[int, int]] = []        # what is changed, from and to: which calls that could fail come from there

    def fresh(self, without: Sequence[str] = ()) -> Instance:
        """Another instance, watched as the one before it."""
        k = super().fresh(without)
        for names, way in ((_TAKE, 1), (_LEAVE, -1)):
            for name in names:
                if name in self.numbers:
                    k.lib.kemu_watch_lock(self.numbers[name], 2 if name in _SHARED else way)
        if "fput" in self.numbers:
            k.lib.kemu_watch_lock(self.numbers["fput"], _LEAVES_FILE)
        for name, number in self.numbers.items():
            if fallible(name):
                k.lib.kemu_watch_fallible(number)
        k.lib.kemu_rcu_soon(self.soon)
        if self.around:
            k.faults_around(self.around)
        if self.on:
            self._arm(k)
        return k

    def _arm(self, k: Instance) -> None:
        name, nth, error = self.failing
        k.lib.kemu_watch(1, self.numbers.get(name, TOLD), nth if name in self.numbers else 0, error)

    def watch(self, failing: tuple[str, int, int] = ("", 0, EIO), soon: bool = False) -> None:
        """From now on. ``soon``: what RCU frees is gone at once."""
        self.failing, self.on, self.soon = failing, True, soon
        k = self.instance
        k.lib.kemu_rcu_soon(soon)
        self._arm(k)

    def compared(self) -> list[tuple[int, int, int]]:
        """What was compared with what in what is changed, and where, since it is watched; before ``unwatch``."""
        k = self.last
        if k is None or not self.around:
            return []
        where = k.ffi.new("struct kemu_cmp const **")
        n = k.lib.kemu_watch_cmps(where)
        return [(a, b, at) for a, b, _, at in _CMP.iter_unpack(bytes(k.ffi.buffer(where[0], n * _CMP.size)))] if n else []

    def converted(self) -> tuple[frozenset[tuple[int, int, int]], frozenset[tuple[int, int, int]]]:
        """Values that were converted from the disk's byte order since it is watched, their bytes, and where in a page they were
        (4096: in none); and those of them soon behind which what is changed has compared something. Before ``unwatch``.
        """
        k = self.last
        if k is None:
            return frozenset(), frozenset()
        where = k.ffi.new("struct kemu_value const **")
        n = k.lib.kemu_watch_values(where)
        data = bytes(k.ffi.buffer(where[0], n * _VALUE.size)) if n else b""
        rows = [(value, size, at, close) for value, size, at, _, close in _VALUE.iter_unpack(data)]
        return frozenset(row[:3] for row in rows), frozenset(row[:3] for row in rows if row[3])

    def guards(self) -> Guards:
        """Which locks guard what, since it is watched; before ``unwatch``."""
        k = self.last
        if k is None:
            return Guards()
        where = k.ffi.new("struct kemu_guarded const **")
        n = k.lib.kemu_guards(where)
        places = bytes(k.ffi.buffer(where[0], n * PLACE.size)) if n else b""
        n = k.lib.kemu_guard_locks(where)
        return Guards(places, bytes(k.ffi.buffer(where[0], n * PLACE.size)) if n else b"", k.symbols)

    def unwatch(self) -> tuple[dict[str, Told], set[int]]:
        """What has been called, and which basic blocks have run, in the last instance; of one that died, too."""
        self.on = False
        k = self.last
        if k is None:
            return {}, set()
        where = k.ffi.new("unsigned int const **")
        n = k.lib.kemu_watch_ran(where)
        ran = set(memoryview(k.ffi.buffer(where[0], n * 4)).cast("I")) if n else set()
        data = bytes(k.ffi.buffer(k.lib.kemu_watch_told(), TOLD * _TOLD.size))
        k.lib.kemu_watch(0, 0, 0, EIO)
        names = self.library.watched
        told: dict[str, Told] = {}
        for what, row in enumerate(_TOLD.iter_unpack(data)):
            if row[0] and what < len(names):
                sites = tuple(zip(row[6:6 + 2 * row[5]:2], row[7:7 + 2 * row[5]:2]))
                told[names[what]] = Told(row[0], row[1], row[2], row[3], row[4], sites)
            elif row[0] and what >= CALLS:
                told[f"{_KINDS[what - CALLS]}{' (shared)' if what & 1 and what < CALLS + 4 else ''}"] = Told(*row[:5])
        return told, ran


def calls(told: dict[str, Told]) -> dict[str, Told]:
    """Functions outside that were called and can be told to fail."""
    return {name: t for name, t in told.items() if fallible(name)}


def locks(told: dict[str, Told]) -> tuple[Counter[str], list[str]]:
    """How often each kind of lock was taken, and those that somebody still has."""
    taken: Counter[str] = Counter()
    held = []
    for name, t in told.items():
        kind = _TAKE.get(name) or _TRY.get(name) or (name if " " in name or name == "RCU" else "")
        if kind:
            taken[kind] += t.times
            if t.held:
                held.append(kind)
    return taken, sorted(held)


def undone(told: dict[str, Told]) -> list[str]:
    """What takes something away, in the order in which it was first called."""
    return sorted((name for name in told if name in UNDONE), key=lambda name: told[name].first)
