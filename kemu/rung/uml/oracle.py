# SPDX-License-Identifier: GPL-2.0-only
"""The real kernel as an oracle: one boot answers thousands of cases; a case that kills or taints the kernel is a failed case.

    with Oracle(flavour="fast") as o:
        r = o.erofs(image_bytes, at=17)
        print(r.mount_error, r.entries, r.kmsg)
"""
from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kemu.rung.entries import errno_name
from kemu.rung.protocol import Answer, Image, Packed
from kemu.rung.uml import wire
from kemu.rung.uml.agentbin import initrd_with_agent
from kemu.rung.uml.build import Kernel, Recipe, build
from kemu.rung.uml.errors import BootError, BootTimeout, ConfigError, RungError
from kemu.rung.uml.inputs import check_input, read_input
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.process import Process, find_splat
from kemu.rung.uml.tree import find_tree
from kemu.rung.uml.wire import Backend, Bug, Memory, Op

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
    ``cpu``: the host's CPU that it runs on. ``args``: more words for its command line.
    """

    def __init__(self, flavour: str = "fast", tree: str | os.PathLike[str] | None = None, config: Sequence[str] = (),
                 patches: Sequence[Any] = (), slot: str = "plain", kernel: Kernel | Path | None = None, timeout: float = 20.0,
                 memory: str = "512M", cpu: int | None = None, args: Sequence[str] = (), say: Say = nothing):
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
        self._id = 0
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
        (file-backed mount); the latter two ignore ``at``. ``devices``: extra devices, in order; each is given as ``device=``.
        ``options``: mount options. ``cap``: of a file no more bytes are read. ``fail_nth``: the N-th allocation or block request
        of the mount and the walk fails (flavour debug); ``Result.fired`` says whether there were so many.
        ``facts``: fill ``Result.facts``.
        """
        if fail_nth:
            self._faults()
        asked: dict[str, Any] = {"cap": cap, "entries": max_entries, "arg": fail_nth, "flags": wire.WANTS_FACTS if facts else 0}
        if backend == "file":
            return self._told(self._erofs_file([image, *devices], options, asked), facts, fail_nth)
        images = [_load(image), *map(_load, devices)]
        if len(images) > wire.DISKS:
            raise RungError(f"{len(images) - 1} extra devices: at most {wire.DISKS - 1}")
        if not 0 <= at < 4096:
            raise RungError(f"at={at}: a byte offset within a page (0..4095)")
        if backend == "loop" and 2 * sum(map(len, images)) > self._ram:
            raise RungError(f"no room for {sum(map(len, images))} bytes in a kernel of {self._memory}: more memory, or backend "
                            f"file, which needs half of it")
        where = _memory(memory, at, images)
        return self._told(self._case(Op.EROFS, images, _options(options, len(images)), backend=Backend[backend.upper()],
                                     memory=where, at=at, **asked), facts, fail_nth)

    @staticmethod
    def _told(result: Result, facts: bool, fail_nth: int) -> Result:
        """What the text of an answer says."""
        if facts and result.message is not None and not result.crash:
            result.facts, result.message = (result.message.removesuffix("fired").splitlines(),
                                            "fired" if result.message.endswith("fired") else None)
        if fail_nth:
            result.fired, result.message = result.message == "fired", None if result.message == "fired" else result.message
        return result

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

    def _erofs_file(self, images: Sequence[Image], options: str, asked: dict[str, Any]) -> Result:
        """Each image as a file in the kernel's memory, with its holes."""
        sizes, pieces, data = [], [], 0
        for image in images:
            size, parts = _pieces(image)
            sizes.append(size)
            data += sum(length for _, length in parts)
            pieces.append(parts)
        if data + (96 << 20) > self._ram:
            raise RungError(f"no room for {data} bytes in a kernel of {self._memory}: more memory")
        return self._case(Op.EROFS, [], _options(options, len(images)), rest=_sent(images, pieces), sizes=sizes,
                          backend=Backend.FILE, **asked)

    def cpio(self, archive: Image, at: int = CPIO_BOOT, memory: str = "linear", cap: int = 1 << 26) -> Result:
        """Unpack an archive with the kernel's own unpack_to_rootfs() in a chroot with a fresh tmpfs, and walk that.

        As at boot, the archive begins at a multiple of 64 bytes and ends near the end of mapped memory (``CPIO_BOOT``), so an
        unpacker that reads on beyond the end is a crash here as there.
        """
        data = _load(archive)
        if at == CPIO_BOOT:
            at = (-len(data) & ~63) % 4096
        return self._case(Op.CPIO, [data], memory=_memory(memory, at, [data]), at=at, cap=cap)

    def bug(self, which: str) -> Result:
        """Have the kernel commit a bug: ``panic``, ``hang``, ``sleep``, ``oob``, ``warn``, ``oops``, ``leak``. For testing the
        bench.
        """
        return self._case(Op.BUG, [], arg=Bug[which.upper()])

    def write(self, path: str, text: str) -> None:
        """Write to a file of the running kernel (``sys/...``, ``proc/...``, ``debug/...``); OSError as write() would."""
        done = self._case(Op.WRITE, [], f"{path}\n{text}")
        if done.crash or done.mount_error:
            raise RungError(f"write to {path} in the kernel: {done.message or done.mount_error}")

    def read(self, path: str) -> bytes:
        """Contents of a file of the running kernel (``sys/...``, ``proc/...``, ``debug/...``)."""
        done = self._case(Op.READ, [], path)
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
            process = Process(self.kernel, self._initrd, (*_SERVER_ARGS, *self._args), self._memory, self._cpu)
            self.boots += 1
            try:
                wire.parse_answer(process.receive(wire.ANSWER_SIZE, 60.0))
            except BaseException:
                process.close()
                raise
            self._process = process
            for prepare in self.setup:
                prepare(self)
        return self._process

    def close(self) -> None:
        """End the kernel."""
        process, self._process = self._process, None
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

    def _case(self, op: Op, images: list[bytes], options: str = "", rest: Iterable[bytes] = (), **how: Any) -> Result:
        process = self.boot()
        self._id = (self._id + 1) & 0x7FFFFFFF
        self.cases += 1
        process.started = process.mark()
        try:
            process.send(wire.request(self._id, op, images, options, **how), self.timeout)
            for part in rest:
                process.send(part, self.timeout)
            head = wire.parse_answer(process.receive(wire.ANSWER_SIZE, self.timeout))
            if head.id != self._id:
                raise BootError(f"the agent answered request {head.id} instead of {self._id}", process.console())
            body = process.receive(head.entries_len + head.text_len + head.kmsg_len, self.timeout)
        except BootError as e:
            self._process = None
            console = process.console(process.started)
            process.close()
            return Result(message=str(e), crash=_kind(e), console=console, kmsg=console.splitlines())
        text = body[head.entries_len:head.entries_len + head.text_len].decode("utf-8", "surrogateescape")
        kmsg = body[head.entries_len + head.text_len:].decode("utf-8", "replace")
        if head.full:
            raise RungError(f"the tree is larger than an answer can be: its first {head.entries} inodes take "
                            f"{head.entries_len >> 20} MiB")
        if head.error and text == "fail-nth":
            raise ConfigError("no fault injection in this kernel: --flavour debug")
        if head.error and text == "place":
            raise RungError(f"no memory of that kind for {sum(map(len, images))} bytes ({errno_name(head.error)}): "
                            "backend file sends no holes, and another kind of memory takes larger ones")
        result = Result(errno_name(head.error), Packed(body[:head.entries_len], head.entries, op is not Op.CPIO),
                        [line.partition(">")[2] for line in kmsg.splitlines()], text or None)
        splat = find_splat(kmsg)
        if splat:
            self._process = None                       # a tainted kernel judges nothing any more
            process.drain()
            result.crash, result.message, result.console = "splat", splat, "\n".join(result.kmsg)
            process.close()
        return result


def _bytes(memory: str) -> int:
    """``"512M"`` as a number."""
    unit = {"K": 10, "M": 20, "G": 30}.get(memory[-1:].upper())
    digits = memory[:-1] if unit else memory
    if not digits.isdigit():
        raise ConfigError(f"memory {memory!r}: a number with K, M or G")
    return int(digits) << (unit or 0)


_LINEAR_MAX = (4 << 20) - 4096        # the page allocator's largest block, less the guard page


def _memory(memory: str, at: int, images: list[bytes]) -> Memory:
    """The kind of memory; what is too large for contiguous pages goes to vmalloc."""
    where = Memory[memory.upper()]
    if where is Memory.LINEAR and (at + len(images[0]) > _LINEAR_MAX or any(len(i) > _LINEAR_MAX for i in images[1:])):
        return Memory.VMALLOC
    return where


def _pieces(image: Image) -> tuple[int, list[tuple[int, int]]]:
    """An image's size, and where it has data: (offset, length)."""
    if not isinstance(image, (str, os.PathLike)):
        return len(image), [(0, len(image))]
    out, at = [], 0
    size = check_input(image, (1 << 63) - 1)
    with open(image, "rb") as f:
        while at < size:
            try:
                begin = os.lseek(f.fileno(), at, os.SEEK_DATA)
                at = os.lseek(f.fileno(), begin, os.SEEK_HOLE)
            except OSError as e:
                if e.errno != errno.ENXIO:             # a hole up to the end
                    raise
                break
            out.append((begin, at - begin))
    return size, out


def _sent(images: Sequence[Image], pieces: Sequence[Sequence[tuple[int, int]]]) -> Iterator[bytes]:
    """The images as the agent takes them: pieces of at most a megabyte."""
    for image, parts in zip(images, pieces):
        file = open(image, "rb") if isinstance(image, (str, os.PathLike)) else io.BytesIO(image)
        with file:
            for begin, length in parts:
                for at in range(begin, begin + length, 1 << 20):
                    file.seek(at)
                    data = file.read(min(1 << 20, begin + length - at))
                    if data:
                        yield wire.piece(at, data)
        yield wire.piece()


def _options(options: str, images: int) -> str:
    return ",".join(o for o in (options, *(f"device=@{i}" for i in range(1, images))) if o)


def _kind(e: BootError) -> str:
    if isinstance(e, BootTimeout):
        return "hang"
    return "panic" if str(e).startswith("kernel panic") else "exit"


def _load(image: Image) -> bytes:
    if isinstance(image, (str, os.PathLike)):
        return read_input(image)
    return bytes(image)
