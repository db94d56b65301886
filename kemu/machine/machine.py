# SPDX-License-Identifier: GPL-2.0-only
"""One emulated kernel."""
from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from kemu.machine import region as region_mod
from kemu.machine import stack as stack_mod
from kemu.machine import statics as statics_mod
from kemu.machine.chooser import Chooser, Watch
from kemu.machine.config import Config
from kemu.machine.counters import Counters
from kemu.machine.current import arch, this
from kemu.machine.given import Given
from kemu.machine.memory import PAGE_OFFSET, Memory
from kemu.machine.pages import PageAllocator
from kemu.machine.printk import Log
from kemu.machine.region import Region
from kemu.machine.sched import Clock, Scheduler, Task
from kemu.machine.series import Series, ShortForms, undisturbed
from kemu.machine.slab import Slab
from kemu.machine.vmalloc import Kmap, VmSpace

# What a kernel makes (inodes, dentries, folios) lives as long as its machine. CPython's default has the collector look at the
# youngest objects after every 700 new ones, nearly always to find them all alive: that was a third of the time an archive took to
# unpack. While machines run it looks when there are this many.
YOUNG_OBJECTS = 100_000

P = TypeVar("P")


class _Parts(dict[type[Any], Any]):
    """Type -> the one object of that type which a machine has; made when it is first asked for."""

    __slots__ = ()

    def __missing__(self, of: type[Any]) -> Any:
        made = self[of] = of()
        return made


class IdleWork:
    """What :meth:`Machine.idle` runs when no task has anything to do: the API says it."""

    __slots__ = ("drain_rcu", "flush_puts")

    def __init__(self) -> None:
        self.flush_puts: Callable[[], None] | None = None        # delayed fput() and mntput()
        self.drain_rcu: Callable[[], None] | None = None


class Machine:
    """``with Machine(...) as m:`` is one kernel; ported code called inside runs on it.

    ``memory``: bytes of RAM (the mapping is lazy: what is not touched costs nothing). ``page_size``: 4096, 16384 or 65536.
    ``bits``: width of unsigned long. ``series``: the patch series that this kernel is built with, on
    top of each other in this order; SeriesError for what does not apply. ``config``:
    ``{"CONFIG_X": bool}`` on top of ``kemu.machine.config.DEFAULT_CONFIG``. ``chooser`` decides, ``watch`` is told.
    ``short``: short forms of functions, for a machine that has neither; those that leave out what one of ``series`` changes are
    not taken. As soon as there is a chooser or a watch the functions themselves run again.
    """

    def __init__(self, *, memory: int = 64 << 20, page_size: int = 4096, bits: int = 64, config: dict[str, bool] | None = None,
                 cmdline: str = "", series: list[Series] | None = None, chooser: Chooser | None = None,
                 watch: Watch | None = None,
                 short: Sequence[ShortForms] = ()):
        if page_size not in (4096, 16384, 65536):
            raise ValueError(f"page size {page_size}: one of 4096, 16384, 65536")
        self.page_shift = page_size.bit_length() - 1
        self.bits = bits
        self.config = Config(config)
        self.cmdline = cmdline
        self.series = series or []
        if self.series:
            stack_mod.stack_of(self.series)             # what does not apply is told before anything is made
        if short and (chooser is not None or watch is not None):
            raise ValueError("short forms are for a machine without a chooser and a watch")
        self.short = undisturbed(short, self.series)
        self._chooser = chooser
        self._watch = watch
        self.counters = Counters()
        self.clock = Clock()
        self.mem = Memory(max(64, memory >> self.page_shift), self.page_shift, self.counters)
        self.alloc = PageAllocator(self.mem)
        self.slab = Slab(self.alloc)
        self.vm = VmSpace(self.mem)
        self.kmap = Kmap(self.mem)
        clock = self.clock
        self.log = Log(lambda: clock.now_ns)
        self.first_task = Task("init", 1)
        self.first_task.state = "running"
        self.sched = Scheduler(clock, self.first_task)
        self.regions: list[Region] = []
        self.given: list[Given] = []            # what it was asked to mount and boot; stays when the machine ends
        self._parts = _Parts()
        self.static_values: dict[int, dict[str, Any]] = {}
        self._saved: list[Any] = []
        self._collector: tuple[int, int, int] | None = None
        self.exit_hooks: list[Callable[[], None]] = []
        self.closed = False

    # ------------------------------------------------------------ who decides, who is told

    @property
    def chooser(self) -> Chooser | None:
        """Who decides. From the first one on no short form is used."""
        return self._chooser

    @chooser.setter
    def chooser(self, chooser: Chooser | None) -> None:
        if chooser is not None:
            self.run_long()
        self._chooser = chooser

    @property
    def watch(self) -> Watch | None:
        """Who is told. From the first one on no short form is used."""
        return self._watch

    @watch.setter
    def watch(self, watch: Watch | None) -> None:
        if watch is not None:
            self.run_long()
        self._watch = watch

    def run_long(self) -> None:
        """From now on every function runs itself. What short forms have left is what the functions would have left."""
        if self.short:
            self.short = []
            if self._saved and this.machine is self:
                stack_mod.activate(self.series)

    # ------------------------------------------------------------ being the current one

    def __enter__(self) -> Machine:
        stack_mod.activate([*self.series, *self.short])
        young = gc.get_threshold()
        if 0 < young[0] < YOUNG_OBJECTS:
            gc.set_threshold(YOUNG_OBJECTS, *young[1:])
            self._collector = young
        self._saved.append((this.save(), (arch.PAGE_SHIFT, arch.BITS_PER_LONG), statics_mod.enter(self.static_values)))
        arch.set(self.page_shift, self.bits)
        this.machine = self
        this.mem = self.mem
        this.kmap = self.kmap
        this.sched = self.sched
        this.task = self.sched.current
        this.counters = self.counters
        this.chooser = self.chooser
        this.watch = self.watch
        return self

    def __exit__(self, *exc: object) -> None:
        if len(self._saved) == 1:
            self.sched.kill_all()
        saved, (shift, bits), statics = self._saved.pop()
        statics_mod.leave(statics)
        this.restore(saved)
        outer: Machine | None = this.machine
        stack_mod.activate([*outer.series, *outer.short] if outer is not None else [])
        arch.set(shift, bits)
        if not self._saved:
            if self._collector is not None:
                gc.set_threshold(*self._collector)
                self._collector = None
            self.close()

    def close(self) -> None:
        """Give the memory back to the host. Leaving the outermost ``with`` does it."""
        if not self.closed:
            self.closed = True
            for hook in self.exit_hooks:
                hook()
            self.mem.close()
            self._parts.clear()
            self.regions.clear()

    # ------------------------------------------------------------ state by type

    def part(self, of: type[P]) -> P:
        """This machine's ``of``: a class, beside the code that owns it, of what that code keeps for each machine. ``of()`` makes
        it on first use; it ends with the machine.
        """
        return self._parts[of]          # type: ignore[no-any-return]

    def made(self, of: type[P]) -> P | None:
        """This machine's ``of`` if somebody has used it; None otherwise, and none is made."""
        return self._parts.get(of)

    def made_parts(self) -> Iterable[object]:
        """Everything that :meth:`part` has made, in that order."""
        return self._parts.values()

    # ------------------------------------------------------------ memory

    def place(self, image: bytes | str, at: int = 0, kind: str = "linear", name: str = "image", writable: bool = False) -> Region:
        """Put an image into memory ``at`` bytes behind a page boundary; see :func:`kemu.machine.region.place`."""
        r = region_mod.place(self, image, at, kind, name, writable)
        self.regions.append(r)
        return r

    def describe_address(self, addr: int) -> str:
        """What lies at an address, for reports; empty if nothing is known."""
        lines = self.slab.describe(addr)
        if lines:
            return "\n".join(lines)
        psize = self.mem.page_size
        near = [r for r in self.regions if r.addr - 2 * psize <= addr < r.addr + r.size + 2 * psize]
        if near:
            return min(near, key=lambda r: 0 if r.contains(addr)
                       else min(abs(addr - r.addr), abs(addr - r.addr - r.size))).describe(addr)
        pfn = self.mem.pfn_of(addr)
        page = self.alloc.lookup(pfn) if pfn >= 0 else None
        if page is not None:
            return f"The buggy address belongs to the physical page: {page!r}"
        if addr >= PAGE_OFFSET:
            for vpn in (addr >> self.mem.shift, (addr >> self.mem.shift) - 1, (addr >> self.mem.shift) + 1):
                pfn = self.mem.vmap.get(vpn, -1)
                if pfn >= 0:
                    page = self.alloc.lookup(pfn)
                    return f"The address is beside a window that shows {page!r}: its neighbour is not mapped there"
        return ""

    def idle(self) -> None:
        """Let everything that is queued run: kworkers, RCU callbacks, delayed puts."""
        self.sched.run_others()
        work = self.part(IdleWork)
        if work.flush_puts is not None:
            work.flush_puts()
        if work.drain_rcu is not None:
            work.drain_rcu()


def should_fail(kind: str, what: str) -> bool:
    """Ask the Chooser whether this call fails; False at once when none is attached."""
    ch = this.chooser
    return ch is not None and ch.fault(kind, what)
