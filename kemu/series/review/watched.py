# SPDX-License-Identifier: GPL-2.0-only
"""A kernel of the C rung that tells what the objects under test do."""
from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from kemu.rung.c.build import Library
from kemu.rung.c.kernel import Instance, Kernel
from kemu.rung.c.watched import fallible

TAKEN, LEFT = 65536, 65538             # KEMU_EVENT_*
MEMORY = 512 << 20                     # bytes of RAM
TIMEOUT = 8.0                          # seconds of processor time after which a trial is a hang
UNWRITTEN = 0x6B
_EVENT = struct.Struct("<IIQQ")
_TOKENS = {1: "RCU", 2: "RCU_BH", 3: "RCU_SCHED"}
_LOCKS = {"mutex_lock": "mutex", "mutex_trylock": "mutex", "down_read": "rwsem (read)", "down_write": "rwsem (write)",
          "down_read_trylock": "rwsem (read)", "down_write_trylock": "rwsem (write)", "__folio_lock": "folio",
          "mutex_lock_interruptible": "mutex", "mutex_lock_killable": "mutex"}
_UNLOCKS = {"mutex_unlock": "mutex", "up_read": "rwsem (read)", "up_write": "rwsem (write)"}

# what takes something away from where others find it: in which order that is done matters
UNDONE = frozenset("""unregister_filesystem kobject_del kset_unregister shrinker_free kmem_cache_destroy rcu_barrier
destroy_workqueue kern_unmount kill_block_super kill_anon_super idr_destroy xz_dec_microlzma_end truncate_inode_pages_final
kobject_put wait_for_completion flush_delayed_fput async_synchronize_cookie_domain sysfs_remove_bin_file""".split())


class Event(NamedTuple):
    """A call (its name), or a lock that was taken or left; the lock or the first argument, and where."""

    what: str
    of: int
    at: int


class Watched(Kernel):
    """``failing``: (function, n): its n-th call fails, in the next trial."""

    def __init__(self, library: Library):
        super().__init__(library=library, timeout=TIMEOUT, memory=MEMORY, fill=UNWRITTEN)
        self.numbers = {name: i for i, name in enumerate(library.watched)}
        self.failing: tuple[str, int] = ("", 0)
        self.on = False
        self.around: list[tuple[int, int]] = []        # what is changed, from and to: which calls that could fail come from there
        self.wanted = [i for i, name in enumerate(library.watched)
                       if name in _LOCKS or name in _UNLOCKS or name in UNDONE or fallible(name)]

    def fresh(self, without: Sequence[str] = ()) -> Instance:
        """Another instance, watched as the one before it."""
        k = super().fresh(without)
        for number in self.wanted:
            k.lib.kemu_watch_want(number)
        if self.around:
            k.faults_around(self.around)
        if self.on:
            self._arm(k)
        return k

    def _arm(self, k: Instance) -> None:
        name, nth = self.failing
        k.lib.kemu_watch(1, self.numbers.get(name, TAKEN - 1), nth if name in self.numbers else 0)

    def watch(self, failing: tuple[str, int] = ("", 0)) -> None:
        """From now on."""
        self.failing, self.on = failing, True
        self._arm(self.instance)

    def unwatch(self) -> tuple[list[Event], set[int]]:
        """What has been called, and which basic blocks have run, in the last instance; of one that died, too."""
        self.on = False
        k = self.last
        if k is None:
            return [], set()
        where = k.ffi.new("unsigned int const **")
        n = k.lib.kemu_watch_ran(where)
        ran = set(memoryview(k.ffi.buffer(where[0], n * 4)).cast("I")) if n else set()
        told = k.ffi.new("struct kemu_event const **")
        n = k.lib.kemu_watch_events(told)
        data = bytes(k.ffi.buffer(told[0], n * _EVENT.size)) if n else b""
        k.lib.kemu_watch(0, 0, 0)
        names = self.library.watched
        events = []
        for what, _, of, at in _EVENT.iter_unpack(data):
            if what < len(names):
                events.append(Event(names[what], of, at))
            else:
                shared = "(shared)" if what & 1 else ""
                events.append(Event(("take" if what < LEFT else "leave") + shared, of, at))
        return events, ran


def calls(events: Sequence[Event]) -> Counter[str]:
    """How often each function outside was called that can be told to fail."""
    return Counter(e.what for e in events if fallible(e.what))


def locks(kernel: Watched, events: Sequence[Event]) -> tuple[Counter[str], list[str]]:
    """How often each kind of lock was taken, and those that somebody still has."""
    taken: Counter[str] = Counter()
    held: Counter[tuple[str, int]] = Counter()
    k = kernel.last
    base = k.base if k is not None else 0
    end = base + k.symbols.end if k is not None else 0
    for e in events:
        if e.what.startswith("take"):
            if not e.of:
                continue
            kind, way = _TOKENS.get(e.of, "spinlock"), 1
        elif e.what.startswith("leave"):
            if not e.of:
                continue
            kind, way = _TOKENS.get(e.of, "spinlock"), -1
        elif e.what in _LOCKS:
            kind, way = _LOCKS[e.what], 1
            if e.what.endswith("trylock") or e.what == "__folio_lock":
                taken[kind] += 1
                continue
        elif e.what in _UNLOCKS:
            kind, way = _UNLOCKS[e.what], -1
        else:
            continue
        held[kind, e.of] += way
        if way > 0:
            name = "of the file" if base <= e.of < end else "of an object"
            taken[f"{kind} {name}" if kind == "spinlock" else kind] += 1
    return taken, sorted({kind for (kind, _), n in held.items() if n > 0})
