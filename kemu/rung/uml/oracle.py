# SPDX-License-Identifier: GPL-2.0-only
"""The real kernel as an oracle: one boot answers thousands of cases; a case that kills or taints the kernel is a failed case.

    with Oracle(flavour="fast") as o:
        r = o.erofs(image_bytes, at=17)
        print(r.mount_error, r.entries, r.kmsg)
        for r in o.many(o.erofs_case(image) for image in images):
            print(r.mount_error)
"""
from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kemu.rung.protocol import Answer, Image
from kemu.rung.uml import wire
from kemu.rung.uml.agentbin import initrd_with_agent
from kemu.rung.uml.build import Kernel, Recipe, build
from kemu.rung.uml.cases import Case, load, pieces, sent, where, with_devices
from kemu.rung.uml.errors import BootError, ConfigError, RungError
from kemu.rung.uml.flight import DEPTH, SHARE, Asked, Flight
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.process import Process
from kemu.rung.uml.tree import find_tree
from kemu.rung.uml.wire import Backend, Bug, Op

_SERVER_ARGS = ("rdinit=/.kemu-agent", "kunit.enable=0", "kasan_multi_shot",
                # what Linux hands out without having written it is then zeros, the same in every run
                "init_on_alloc=1")
CPIO_BOOT = -1                        # the page offset that an initrd of this size gets at boot


# what a kernel made of one case
Result = Answer


class Oracle:
    """A kernel that serves cases, booted when the first one comes and again after each crash.

    ``kernel``: one that is built already; else ``tree``, ``flavour``, ``config`` and ``patches`` say what to build.
    ``timeout``: seconds after which a case is a hang. ``memory``: the kernel's RAM; a sparse file of the host's.
    ``cpu``: the host's CPU that it runs on. ``args``: more words for its command line. Not ``inside``: every case is the work of
    a program in the kernel's user space, and nothing is shared; slower, and the same answers.
    """

    def __init__(self, flavour: str = "fast", tree: str | os.PathLike[str] | None = None, config: Sequence[str] = (),
                 patches: Sequence[Any] = (), slot: str = "plain", kernel: Kernel | Path | None = None, timeout: float = 20.0,
                 memory: str = "512M", cpu: int | None = None, args: Sequence[str] = (), say: Say = nothing,
                 inside: bool = True):
        if kernel is None:
            kernel = build(Recipe(find_tree(tree), flavour, tuple(config), tuple(patches), slot), say)
        self.kernel = kernel.path if isinstance(kernel, Kernel) else Path(kernel)
        self.timeout = timeout
        self.boots = 0
        self.cases = 0
        self._memory = memory
        self._ram = _bytes(memory)
        self._cpu = cpu
        self._args = tuple(args)
        self._process: Process | None = None
        self._inside = inside
        self._flight = self._new_flight()
        self._faulty: Process | None = None
        self._initrd = initrd_with_agent()
        self.setup: list[Callable[[Oracle], None]] = []

    def __enter__(self) -> Oracle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # ---- cases ----

    def erofs(self, image: Image, at: int = 0, options: str = "", devices: Sequence[Image] = (), backend: str = "disk",
              memory: str = "linear", cap: int = 1 << 26, max_entries: int = 1 << 20, fail_nth: int = 0,
              facts: bool = False) -> Result:
        """Mount an EROFS image and walk it.

        ``at``: byte offset from a page boundary where it is placed; ``memory``: ``linear`` (larger than 4 MiB: vmalloc),
        ``vmalloc`` or ``slab``. ``backend``: ``disk`` (a gendisk over the region), ``loop`` (a loop device) or ``file``
        (file-backed mount); the latter two ignore ``at``; ``region`` is the own one of a series that is built in. ``devices``:
        extra devices, in order; each is given as ``device=``.
        ``options``: mount options. ``cap``: of a file no more bytes are read. ``fail_nth``: the N-th allocation or block request
        of the mount and the walk fails (flavour debug); ``Result.fired`` says whether there were so many.
        ``facts``: fill ``Result.facts``.
        """
        return self.ask(self.erofs_case(image, at, options, devices, backend, memory, cap, max_entries, fail_nth, facts))

    def erofs_case(self, image: Image, at: int = 0, options: str = "", devices: Sequence[Image] = (), backend: str = "disk",
                   memory: str = "linear", cap: int = 1 << 26, max_entries: int = 1 << 20, fail_nth: int = 0,
                   facts: bool = False) -> Case:
        """What :meth:`erofs` asks, for :meth:`many`."""
        if fail_nth:
            self._faults()
        case = Case(Op.EROFS, [], options, Backend[backend.upper()], at=at, arg=fail_nth, cap=cap, entries=max_entries,
                    flags=wire.WANTS_FACTS if facts else 0)
        if case.backend is Backend.FILE:
            return self._in_pieces(case, [image, *devices])
        case.images = images = [load(image), *map(load, devices)]
        if len(images) > wire.DISKS:
            raise RungError(f"{len(images) - 1} extra devices: at most {wire.DISKS - 1}")
        if not 0 <= at < 4096:
            raise RungError(f"at={at}: a byte offset within a page (0..4095)")
        if case.backend is Backend.LOOP and 2 * sum(map(len, images)) > self._ram:
            raise RungError(f"no room for {sum(map(len, images))} bytes in a kernel of {self._memory}: more memory, or backend "
                            f"file, which needs half of it")
        case.options = with_devices(options, len(images))
        case.memory = where(memory, at, images)
        return case

    def _in_pieces(self, case: Case, images: Sequence[Image]) -> Case:
        """Each image as a file in the kernel's memory, with its holes."""
        sizes, parts = zip(*map(pieces, images))
        data = sum(length for part in parts for _, length in part)
        if data + (96 << 20) > self._ram:
            raise RungError(f"no room for {data} bytes in a kernel of {self._memory}: more memory")
        case.sizes, case.options = list(sizes), with_devices(case.options, len(images))
        case.rest = lambda: sent(images, parts)
        return case

    def _faults(self) -> None:
        """Let the injectors take every call: by default they spare those that may sleep."""
        process = self.boot()
        if self._faulty is process:
            return
        for path, value in (("debug/failslab/ignore-gfp-wait", "N"), ("debug/fail_page_alloc/ignore-gfp-wait", "N"),
                            ("debug/fail_page_alloc/ignore-gfp-highmem", "N"), ("debug/fail_page_alloc/min-order", "0"),
                            *((f"sys/block/kemu{n}/make-it-fail", "1") for n in range(wire.DISKS))):
            try:
                self.write(path, value)
            except RungError as e:
                raise ConfigError(f"no fault injection in this kernel ({e}): --flavour debug") from None
        self._faulty = process

    def cpio(self, archive: Image, at: int = CPIO_BOOT, memory: str = "linear", cap: int = 1 << 26) -> Result:
        """Unpack an archive with the kernel's own unpack_to_rootfs() in a chroot with a fresh tmpfs, and walk that.

        As at boot, the archive begins at a multiple of 64 bytes and ends near the end of mapped memory (``CPIO_BOOT``), so an
        unpacker that reads on beyond the end is a crash here as there.
        """
        return self.ask(self.cpio_case(archive, at, memory, cap))

    def cpio_case(self, archive: Image, at: int = CPIO_BOOT, memory: str = "linear", cap: int = 1 << 26) -> Case:
        """What :meth:`cpio` asks, for :meth:`many`."""
        data = load(archive)
        if at == CPIO_BOOT:
            at = (-len(data) & ~63) % 4096
        return Case(Op.CPIO, [data], memory=where(memory, at, [data]), at=at, cap=cap)

    def ask(self, case: Case) -> Result:
        """What the kernel makes of one case."""
        self.cases += 1
        return self._flight.answer(self._flight.ask(case))

    def many(self, cases: Iterable[Case]) -> Iterator[Result]:
        """The answers to these cases, in order; while the kernel works on one, the next are prepared.

        A case that crashes the kernel is answered as such, and those behind it are asked again of the next kernel. What a single
        case would raise, or the making of one raises, is raised when its turn comes.
        """
        under_way: deque[Asked] = deque()
        left, failure, held = iter(cases), None, 0
        try:
            while True:
                try:
                    case = next(left)
                except StopIteration:
                    break
                except Exception as e:
                    failure = e
                    break
                self.cases += 1
                under_way.append(self._flight.ask(case))
                held += case.size
                while under_way and (len(under_way) >= DEPTH or under_way[0].done or held > SHARE):
                    held -= under_way[0].case.size
                    yield self._flight.answer(under_way.popleft())
            while under_way:
                yield self._flight.answer(under_way.popleft())
        finally:
            for asked in under_way:                    # nobody looks at the rest
                asked.wanted = False
        if failure is not None:
            raise failure

    def bug(self, which: str) -> Result:
        """Have the kernel commit a bug: ``panic``, ``hang``, ``sleep``, ``oob``, ``warn``, ``oops``, ``leak``. For testing the
        bench.
        """
        return self.ask(Case(Op.BUG, arg=Bug[which.upper()]))

    def write(self, path: str, text: str) -> None:
        """Write to a file of the running kernel (``sys/...``, ``proc/...``, ``debug/...``); OSError as write() would."""
        done = self.ask(Case(Op.WRITE, options=f"{path}\n{text}"))
        if done.crash or done.mount_error:
            raise RungError(f"write to {path} in the kernel: {done.message or done.mount_error}")

    def read(self, path: str) -> bytes:
        """Contents of a file of the running kernel (``sys/...``, ``proc/...``, ``debug/...``)."""
        done = self.ask(Case(Op.READ, options=path))
        if done.crash or done.mount_error:
            raise RungError(f"read of {path} in the kernel: {done.message or done.mount_error}")
        return (done.message or "").encode("utf-8", "surrogateescape")

    def leaks(self, settle: float = 6.0) -> list[str]:
        """What kmemleak holds for lost (flavour kasan): one text per object; those reported before are not repeated.

        ``settle``: seconds to wait first; kmemleak does not look at objects younger than 5 s.
        """
        time.sleep(settle)
        try:
            # an object must look lost twice, and the kernel's clock stood while it waited
            for _ in range(3):
                self.write("debug/kmemleak", "scan")
                time.sleep(0.1)
            text = self.read("debug/kmemleak").decode("utf-8", "replace")
            self.write("debug/kmemleak", "clear")
        except RungError as e:
            raise ConfigError(f"no kmemleak in this kernel ({e}): --flavour kasan") from None
        return [f"unreferenced object{part.rstrip()}" for part in text.split("unreferenced object")[1:]]

    # ---- the kernel behind them ----

    def boot(self) -> Process:
        """The running kernel; boots one if there is none. ``BootError`` with its console if it does not come up."""
        if self._process is None:
            process = Process(self.kernel, self._initrd, (*_SERVER_ARGS, *self._args), self._memory, self._cpu,
                              SHARE if self._inside else 0)
            self.boots += 1
            try:
                ready = _ready(process)
            except BaseException:
                process.close()
                raise
            process.started = process.mark()
            process.before = process.started - ready.logged
            self._process = process
            if self.setup:
                waiting, self._flight = self._flight, self._new_flight()
                try:
                    for prepare in self.setup:
                        prepare(self)
                finally:
                    self._flight = waiting
        return self._process

    def close(self) -> None:
        """End the kernel."""
        process, self._process = self._process, None
        self._flight.again()
        if process is None:
            return
        try:
            process.send(wire.request(0, Op.QUIT, []), 1.0)
            process.wait(2.0)
        except BootError:
            pass
        process.close()

    def console(self) -> str:
        """The running kernel's log."""
        return self._process.console() if self._process else ""

    def _new_flight(self) -> Flight:
        def lost() -> None:
            self._process = None

        return Flight(self.boot, lost, self.timeout)



def _ready(process: Process) -> wire.Answer:
    """What the agent says first."""
    try:
        return wire.parse_answer(process.receive(wire.ANSWER_SIZE, 60.0))
    except ValueError as e:
        raise BootError(f"the agent's answer is none: {e}", process.console()) from None


def _bytes(memory: str) -> int:
    """``"512M"`` as a number."""
    unit = {"K": 10, "M": 20, "G": 30}.get(memory[-1:].upper())
    digits = memory[:-1] if unit else memory
    if not digits.isdigit():
        raise ConfigError(f"memory {memory!r}: a number with K, M or G")
    return int(digits) << (unit or 0)
