# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's C, loaded and asked case by case; an instance that has died is thrown away.

    with Kernel(library) as k:
        a = k.erofs(image_bytes, at=17)
        print(a.mount_error, a.entries, a.kmsg)
"""
from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Self

import cffi

from kemu.report.manifest import Entry
from kemu.rung.c.build import RUNTIME, Library, build
from kemu.rung.c.case import CLOCK, FACTS, KINDS, MEMORY, UNREAD, Case, load, loaded, source
from kemu.rung.c.sources import INITCALLS
from kemu.rung.c.symbols import Symbols
from kemu.rung.c.trap import MountRefused as MountRefused
from kemu.rung.c.trap import RootRefused as RootRefused
from kemu.rung.c.trap import Trap as Trap
from kemu.rung.c.trap import lines_of
from kemu.rung.entries import errno_name
from kemu.rung.protocol import Answer, Image, Packed
from kemu.rung.uml import wire
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.errors import ConfigError, RungError
from kemu.rung.uml.lines import Frame
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.tree import find_tree

TRAP = -4096
BACKEND = "kemu_backend_mount"         # what the C of a series' own back end defines
CELLS = 65536                          # KEMU_CELLS
_MS_RDONLY = 1
_PC = re.compile(r"^@([0-9a-f]+)$", re.M)
_SECTION = re.compile(r"^(allocated|freed):$", re.M)
_UNPACKING = re.compile(r"(?:Initramfs unpacking failed: (.*)|rootfs image is not initramfs \((.*)\); looks like an initrd)$")
UNKNOWN_WORDS = "Unknown kernel command line parameters "
FAIL_MORE = 1 << 20                    # KEMU_FAIL_NTH + 1
READ_AHEAD = 128 << 10               # VM_READAHEAD_PAGES
NEVER = (1 << 32) - 1                  # fail_nth: calls are counted, and none fails
_SITES = 1 << 14
_COUNTERS = ("slab_objects", "slab_bytes", "pages", "pages_peak", "allocations", "bios", "bio_bytes", "switches", "works",
             "warnings", "faults", "fired")


@cache
def _ffi() -> cffi.FFI:
    text = re.sub(r"/\*.*?\*/", "", (RUNTIME / "kemu_api.h").read_text(), flags=re.S)
    ffi = cffi.FFI()
    ffi.cdef(text)
    return ffi


@cache
def _symbols(path: Path, source: Path) -> Symbols:
    return Symbols(path, source)


class Instance:
    """One loaded copy of a library: a kernel from its boot to its end. Two of them share nothing but the process's signals, which
    are those of the one that was taken last.
    """

    active: Instance | None = None

    def __init__(self, library: Library, pages: int, fill: int | None = None, without: Sequence[str] = ()):
        """``without``: initcalls that do not run."""
        self.library = library
        self.ffi = _ffi()
        self.symbols = _symbols(library.path, library.source)
        folder = Path(tempfile.mkdtemp(prefix="kemu-c-"))
        try:                                           # another path is another copy of all its data
            shutil.copyfile(library.path, folder / "kemu.so")
            self.lib: Any = self.ffi.dlopen(str(folder / "kemu.so"), self.ffi.RTLD_NOW | self.ffi.RTLD_LOCAL)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        anchor = int(self.ffi.cast("uintptr_t", self.ffi.addressof(self.lib, "kemu_start")))
        self.base = anchor - self.symbols.offsets["kemu_start"]
        self.dead = False
        self._callback: Any = None
        self._pristine: list[bytes] | None = None
        self.made_once: tuple[object, ...] = ()        # the case that has run whole
        self.one = Case(self)
        flags = 0 if fill is None else 1 | fill << 8
        self.take()
        self.check(self.lib.kemu_start(pages, flags))
        for name in INITCALLS:
            if name in self.symbols.initcalls and name not in without:
                self.check(self.lib.kemu_initcall(self.initcall(name)))
        self.check(self.lib.kemu_ready())

    def initcall(self, name: str) -> Any:
        """The address of an initcall."""
        return self.ffi.cast("void *", self.base + self.symbols.initcalls[name])

    @property
    def has_region(self) -> bool:
        """Whether a series that is built in brings a back end of its own, with a function that mounts from memory."""
        return BACKEND in self.symbols.offsets

    @property
    def region_mount(self) -> Any:
        """Where that function is. ``ConfigError``: there is none."""
        if not self.has_region:
            raise ConfigError(f"backend region: no series that is built in has {BACKEND}()")
        return self.ffi.cast("void *", self.base + self.symbols.offsets[BACKEND])

    def take(self) -> None:
        """The process's signals are this kernel's from now on: a fault in another one would be nobody's."""
        if Instance.active is not self:
            if Instance.active is not None:
                Instance.active.lib.kemu_signals(0)
            self.lib.kemu_signals(1)
            Instance.active = self

    def check(self, result: int) -> int:
        """A call's result; raises Trap if the kernel died in it."""
        if result == TRAP:
            raise self.trap()
        return result

    def trap(self) -> Trap:
        """How it died."""
        self.dead = True
        text = self.text(self.lib.kemu_report())
        parts = _SECTION.split(text)
        others = [(word, self.symbols.trace(self._offsets(part, 1))) for word, part in zip(parts[1::2], parts[2::2])]
        return Trap(text.split("\n")[0], self.symbols.trace(self._offsets(parts[0])), self.log(), others)

    def _offsets(self, text: str, first: int = 0) -> list[int]:
        # a return address stands behind the call
        found = [int(pc, 16) - self.base - (1 if i else first) for i, pc in enumerate(_PC.findall(text))]
        return [offset for offset in found if offset > 0]

    def text(self, p: Any) -> str:
        """A string of the runtime's."""
        return bytes(self.ffi.string(p)).decode("utf-8", "replace")

    def log(self) -> str:
        """What the kernel has said since the last time: "<level> text" lines."""
        n = self.ffi.new("unsigned long long *")
        p = self.lib.kemu_log(n)
        out = bytes(self.ffi.buffer(p, n[0])).decode("utf-8", "replace")
        self.lib.kemu_log_clear()
        return out

    def counters(self) -> dict[str, int]:
        """All counters."""
        s = self.ffi.new("struct kemu_stats *")
        self.lib.kemu_count(s)
        return {name: int(getattr(s, name)) for name in _COUNTERS}

    def walk(self, root: bytes, cap: int = 1 << 62, most: int = wire.MOST, flags: int = 0,
             dir_sizes: bool = True) -> tuple[Packed, list[str]]:
        """The tree at ``root``: what makes its entries, and its facts."""
        w = self.ffi.new("struct kemu_walk *")
        self.check(self.lib.kemu_walk(root, cap, most, flags, w))
        entries = Packed(bytes(self.ffi.buffer(w.entries, w.entries_len)), w.count, dir_sizes)
        lines = bytes(self.ffi.buffer(w.facts, w.facts_len)).decode("utf-8", "replace").splitlines() if flags & FACTS else []
        return entries, lines

    def names(self, most: int = wire.MOST) -> list[Entry]:
        """The tree that is the root now, without the contents of its files."""
        return self.walk(b".", most=most, flags=UNREAD)[0].entries()

    def list_one(self, path: str) -> tuple[list[Entry], int]:
        """What is in a folder, or one inode: entries whose files are not read; 0 or a positive errno."""
        room = self.ffi.new("char[]", 1 << 24)
        at = os.fsencode(path)
        n = self.check(self.lib.kemu_list(at, room, 1 << 24))
        if n == -errno.ENOTDIR:
            entries, _ = self.walk(at, most=1, flags=UNREAD)
            return [e | {"path": path} for e in entries.entries()], 0
        if n < 0:
            return [], -n
        out = []
        for name in bytes(self.ffi.buffer(room, n)).split(b"\0")[:-1]:
            inside = at.rstrip(b"/") + b"/" + name
            entries, _ = self.walk(inside, most=1, flags=UNREAD)
            out += [e | {"path": os.fsdecode(name)} for e in entries.entries()]
        return sorted(out, key=lambda e: os.fsencode(e["path"])), 0

    def contents(self, path: str) -> Iterator[bytes | int]:
        """A file's bytes, piece by piece; an errno (positive) where that ends."""
        fd = self.check(self.lib.kemu_open(os.fsencode(path), os.O_RDONLY))
        if fd < 0:
            yield -fd
            return
        room, at = self.ffi.new("char[]", 1 << 17), 0
        while True:
            n = self.check(self.lib.kemu_pread(fd, room, 1 << 17, at))
            if n <= 0:
                break
            at += n
            yield bytes(self.ffi.buffer(room, n))
        self.check(self.lib.kemu_close(fd))
        if n < 0:
            yield -n

    def statfs(self, path: str = "/") -> dict[str, int]:
        """statfs() of a path. ``OSError`` as of the system call."""
        s = self.ffi.new("struct kemu_statfs *")
        error = self.check(self.lib.kemu_statfs(os.fsencode(path), s))
        if error:
            raise OSError(-error, os.strerror(-error), path)
        return {name: int(getattr(s, name)) for name in ("type", "block_size", "blocks", "files", "free_files", "name_max")}

    # ---- coverage: flavours cov and gcov ----

    def forget_coverage(self) -> None:
        """Nothing has run."""
        self.lib.kemu_cov_reset()

    def coverage(self, seen: Any) -> tuple[int, int]:
        """Add what has run since then to ``seen`` (a cffi array of CELLS bytes): how much of it is new, and how many cells. A
        kernel that died tells, too.
        """
        cells = self.ffi.new("unsigned int *")
        return int(self.lib.kemu_cov_merge(seen, cells)), int(cells[0])

    def counted(self) -> dict[str, bytes]:
        """The .gcda files of the objects under test, by the name that the compiler gave them."""
        out: dict[str, bytes] = {}
        name = self.ffi.new("char const **")
        for i in count():
            size = int(self.lib.kemu_gcov(i, name, self.ffi.NULL))
            if not size:
                return out
            room = self.ffi.new("char[]", size)
            self.lib.kemu_gcov(i, name, room)
            out[self.text(name[0])] = bytes(self.ffi.buffer(room, size))
        raise AssertionError("unreachable")

    def parameters(self, cmdline: str) -> list[str]:
        """Words of a command line, given to those who asked for them with early_param() and __setup(); the words that nobody
        took.
        """
        entries = [self.ffi.cast("void *", self.base + offset) for offset in self.symbols.parameters()]
        words = cmdline.split()
        taken = set()
        for early in (1, 0):
            for word in words:
                for entry in entries:
                    if self.check(self.lib.kemu_parameter(entry, os.fsencode(word), early)):
                        taken.add(word)
                        break
        return [word for word in words if word not in taken]

    def load(self, parameters: str = "") -> int:
        """fs/erofs comes, as a module that is loaded: what erofs_module_init() returns. Its variables are as they are in the
        file, but for ``parameters``.
        """
        places = self.symbols.module_data
        if self._pristine is None:
            self._pristine = [bytes(self._bytes(at, size)) for at, size in places]
        else:
            for (at, size), data in zip(places, self._pristine):
                if self._bytes(at, size)[:] != data:   # much of it is constant, and may not be written to
                    self._bytes(at, size)[:] = data
        for word in parameters.split():
            self.check(self.lib.kemu_parameters(os.fsencode(f"erofs.{word}")))
        return self.check(self.lib.kemu_module_init(self.initcall("erofs_module_init")))

    def _bytes(self, offset: int, size: int) -> Any:
        return self.ffi.buffer(self.ffi.cast("char *", self.base + offset), size)

    def unload(self) -> None:
        """fs/erofs goes, as a module that is unloaded: nothing may be mounted, and nothing can be any more."""
        self.lib.kemu_limit(20_000)
        try:
            self._unload()
        finally:
            self.lib.kemu_limit(0)

    def _unload(self) -> None:
        self.check(self.lib.kemu_exitcall(self.ffi.cast("void *", self.base + self.symbols.offsets["erofs_module_exit"])))
        self.dead = True

    def leaks(self) -> str:
        """The report of kemu_leaks(), with frames."""
        out = []
        for line in self.text(self.lib.kemu_report()).splitlines():
            what, _, pcs = line.partition(" @")
            offsets = [int(pc, 16) - self.base - 1 for pc in pcs.split(" @") if pc]
            frames = [f for some in self.symbols.frames(offsets) for f in some if "kemu/rung" not in f.place]
            out += [what, *(f"  {f}" for f in frames)]
        return "\n".join(out)

    def choose(self, chooser: Callable[[int, int], int] | None) -> None:
        """Who runs next, and which work item, is asked of ``chooser(kind, n)`` from now on."""
        self._callback = (self.ffi.NULL if chooser is None else
                          self.ffi.callback("unsigned int(unsigned int, unsigned int)", chooser))
        self.lib.kemu_choose(self._callback)

    def fault_sites(self, n: int) -> list[int]:
        """Where each of the first n calls was made from that could have failed: a number for each place."""
        p = self.lib.kemu_fault_sites()
        return [int(p[i]) for i in range(min(n, _SITES))]

    def faults_around(self, ranges: Sequence[tuple[int, int]]) -> None:
        """From now on calls that could have failed are looked at: whether they come from within one of these offsets."""
        flat = [at for pair in ranges for at in pair]
        self.lib.kemu_fault_around(self.ffi.new("unsigned long[]", flat), len(ranges))

    def faults_near(self, n: int) -> bytes:
        """Of each of the first n, whether it does."""
        return bytes(self.ffi.buffer(self.lib.kemu_fault_near(), min(n, _SITES)))

    def fault_trace(self) -> list[Frame]:
        """The call that was made to fail: what failed, and who called it."""
        pcs = self.ffi.new("unsigned long[]", 16)
        n = self.lib.kemu_fault_stack(pcs, 16)
        return self.symbols.trace([int(pcs[i]) - self.base - 1 for i in range(n)])

    def end(self) -> None:
        """Give everything back to the host."""
        if Instance.active is self:
            Instance.active = None
        self.lib.kemu_end()
        self.ffi.dlclose(self.lib)


class Kernel:
    """A kernel of the C rung that serves cases; loaded when the first one comes, and again after each death.

    ``library``: one that is built already; else ``tree``, ``flavour``, ``config`` and ``patches`` say what to build. ``timeout``:
    seconds of processor time after which a case is a hang. ``memory``: the kernel's RAM, of which it takes what it touches.
    ``fill``: the byte that memory has which nobody has written (default: zeros, as with init_on_alloc).
    """

    def __init__(self, flavour: str = "plain", tree: str | os.PathLike[str] | None = None, config: Sequence[str] = (),
                 patches: Sequence[Any] = (), slot: str = "plain", library: Library | None = None, timeout: float = 20.0,
                 memory: int = 1 << 30, fill: int | None = None, say: Say = nothing):
        if library is None:
            library = build(Recipe(find_tree(tree), "fast", tuple(config), tuple(patches), slot), flavour, say)
        self.library = library
        self.timeout = timeout
        self.boots = 0
        self.cases = 0
        self.ending: Callable[[Instance], None] | None = None      # is given each instance before it goes
        self._pages = memory >> 12
        self._fill = fill
        self._instance: Instance | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def instance(self) -> Instance:
        """The instance that is alive."""
        if self._instance is None or self._instance.dead:
            return self.fresh()
        self._instance.take()
        return self._instance

    def fresh(self, without: Sequence[str] = ()) -> Instance:
        """Another instance now; ``without``: initcalls that do not run."""
        self.close()
        self._instance = Instance(self.library, self._pages, self._fill, without)
        self.boots += 1
        return self._instance

    @property
    def last(self) -> Instance | None:
        """The instance that the last case ran in; it may be dead."""
        return self._instance

    def close(self) -> None:
        """End the instance, if there is one."""
        old, self._instance = self._instance, None
        if old is not None:
            if self.ending is not None:
                self.ending(old)
            old.end()

    # ---- cases ----

    def erofs(self, image: Image, at: int = 0, options: str = "", devices: Sequence[Image] = (), backend: str = "disk",
              memory: str = "linear", cap: int = 1 << 26, max_entries: int = 1 << 20, fail_nth: int = 0,
              facts: bool = False, then: Callable[[Instance], None] | None = None) -> Answer:
        """Mount an EROFS image and walk it; arguments as of the Linux rung's ``Oracle.erofs``, ``backend`` ``disk``, ``file``,
        or ``region`` where a series that is built in has a back end of its own (docs/how-to/own-back-end.md).
        ``then`` is given the instance while the image is still mounted at /mnt, behind the walk. ``fail_nth + k * FAIL_MORE``:
        and the k calls behind that one.
        """
        images, how = loaded(image, devices, at), source(1 + len(devices), options, backend)
        k = self.instance
        self.cases += 1
        flags = FACTS if facts else 0
        try:
            if fail_nth:
                self._made_once(k, (*images, how), lambda: k.one.run(images, how, at, MEMORY[memory], cap, max_entries, 0, 0,
                                                                    self.timeout, None))
            return k.one.run(images, how, at, MEMORY[memory], cap, max_entries, flags, fail_nth, self.timeout, then)
        except Trap as trap:
            return trap.answer()

    def _made_once(self, k: Instance, what: tuple[object, ...], case: Callable[[], object]) -> None:
        """Before calls are counted, what a kernel makes once is made: the n-th call is the same one whatever was there before."""
        if k.made_once != what:
            case()
            k.made_once = what
            k.lib.kemu_log_clear()

    def take_down(self, k: Instance, images: int, kind: int, mounted: bool) -> None:
        """What a mount at /mnt has used goes."""
        if mounted:
            undone = k.check(k.lib.kemu_umount(b"/mnt", 0))
            if undone:
                raise self._left(k, f"umount: {errno_name(-undone)}: something is still in use")
        for slot in range(images):
            k.check(k.lib.kemu_drop(slot, kind))
        k.check(k.lib.kemu_settle())

    @contextmanager
    def mounted(self, image: Image, at: int = 0, options: str = "", devices: Sequence[Image] = (), backend: str = "disk",
                memory: str = "linear", read_ahead: int = 0) -> Iterator[Instance]:
        """An image mounted at /mnt of the instance, which is the root meanwhile. ``read_ahead``: bytes, as blockdev --setra (0:
        the kernel's 128 KiB). ``MountRefused`` with the errno and the log; ``Trap``.
        """
        images, how = loaded(image, devices, at), source(1 + len(devices), options, backend)
        k = self.instance
        k.lib.kemu_log_clear()
        for slot, data in enumerate(images):
            self.place(k, slot, data, how.kind, MEMORY[memory], at if slot == 0 else 0)
        if backend == "region":
            error = k.check(k.lib.kemu_mount_region(k.region_mount, 0, b"/mnt", how.options))
        else:
            error = k.check(k.lib.kemu_mount(how.name, b"/mnt", b"erofs", _MS_RDONLY, how.options))
        if error:
            self.take_down(k, len(images), how.kind, False)
            raise MountRefused(-error, lines_of(k.log()))
        if read_ahead:
            k.check(k.lib.kemu_read_ahead(b"/mnt", read_ahead))
        error = k.check(k.lib.kemu_enter(b"/mnt"))
        if error:                                      # a root that is no directory, or may not be entered
            log = lines_of(k.log())
            self.take_down(k, len(images), how.kind, True)
            raise RootRefused(-error, log)
        yield k
        k.check(k.lib.kemu_leave())
        if read_ahead:                                  # the disk is the next case's, too
            k.check(k.lib.kemu_read_ahead(b"/mnt", READ_AHEAD))
        self.take_down(k, len(images), how.kind, True)

    def cpio(self, archive: Image | None, at: int = -1, memory: str = "linear", cap: int = 1 << 26,
             builtin: bytes | None = None, fail_nth: int = 0, cmdline: str = "",
             then: Callable[[Instance], None] | None = None) -> Answer:
        """Boot as far as init/initramfs.c is concerned: the kernel's own populate_rootfs() with an archive in memory (None: no
        initrd), into a fresh tmpfs, which is walked. What ``Oracle.cpio`` answers, and the boot's own lines in its log.

        ``builtin``: the archive that is built in (none: an empty one). ``fail_nth``: counted while populate_rootfs() runs.
        ``cmdline``: parameters that the linked files have (``retain_initrd``, ``initramfs_async=0``, ``initrdmem=ADDRESS,SIZE``,
        where ``@`` stands for the archive's); as they are said once in a kernel's life, such a case has a kernel of its own.
        Those that nobody takes are named in the log, as Linux does it. ``then`` is given the instance behind the walk, before the
        archive's memory is taken back.
        """
        data = None if archive is None else load(archive)
        if at < 0:
            at = (-len(data or b"") & ~63) % 4096
        if cmdline or then:
            self.close()
        unknown: list[str] = []
        try:
            answer = self.case(lambda k: self._cpio(k, data, at, MEMORY[memory], cap, builtin or b"", fail_nth, cmdline, then,
                                                    unknown))
        finally:
            if (cmdline or then) and self._instance is not None:
                self._instance.dead = True
        if unknown:
            answer.kmsg.insert(0, f'{UNKNOWN_WORDS}"{" ".join(unknown)}", will be passed to user space.')
        for line in answer.kmsg if not answer.crash else ():
            said = _UNPACKING.match(line)
            if said:
                answer.message = said[1] or said[2]
        return answer

    def _cpio(self, k: Instance, data: bytes | None, at: int, memory: int, cap: int, builtin: bytes, fail_nth: int, cmdline: str,
              then: Callable[[Instance], None] | None, unknown: list[str]) -> Answer:
        lib, answer = k.lib, Answer()
        if fail_nth and not cmdline and then is None:  # else it has a kernel of its own
            self._made_once(k, (data, builtin), lambda: self._cpio(k, data, at, memory, cap, builtin, 0, "", None, []))
        error = k.check(lib.kemu_mount(b"unpack", b"/mnt", b"tmpfs", 0, b"mode=0755"))
        if error:
            raise RungError(f"tmpfs: {errno_name(-error)}")
        k.check(lib.kemu_enter(b"/mnt"))
        if data is not None:
            self.place(k, 0, data, 0, memory, at)
        if cmdline:
            place = f"{lib.kemu_physical(0):#x},{len(data or b'')}"
            unknown += k.parameters(cmdline.replace("@", place))
        k.check(lib.kemu_initrd(wire.DISKS if data is None else 0))
        if fail_nth:
            lib.kemu_fail_nth(fail_nth)
        error = k.check(lib.kemu_populate(k.initcall("populate_rootfs"), builtin, len(builtin)))
        if fail_nth:
            counters = k.counters()
            answer.fired, answer.points = bool(counters["fired"]), counters["faults"]
            lib.kemu_fail_nth(0)
        if error:
            raise RungError(f"populate_rootfs(): {errno_name(-error)}")
        answer.packed, _ = k.walk(b".", cap, wire.MOST, CLOCK, dir_sizes=False)
        k.check(lib.kemu_leave())
        if then is not None:
            then(k)
        if data is not None:
            k.check(lib.kemu_drop(0, 0))
        undone = k.check(lib.kemu_umount(b"/mnt", 0))
        if undone and k.check(lib.kemu_umount(b"/mnt", 2)):
            raise self._left(k, f"umount: {errno_name(-undone)}: something is still in use")
        k.check(lib.kemu_settle())
        return answer

    def leak(self, case: Callable[[], object], times: int = 3) -> str:
        """What a case leaves behind each time that it runs: ``LEAK CACHE SIZE`` lines with the frames that allocated it (flavour
        asan knows them); nothing if it leaves nothing.
        """
        left = []
        for _ in range(times + 1):                     # what is cached once is no leak
            k = self.instance
            before = k.counters()["slab_objects"]
            case()
            if k.dead:
                return ""
            left.append(k.counters()["slab_objects"] - before)
        if min(left[1:]) <= 0:
            return ""
        k.lib.kemu_mark()
        case()
        k.lib.kemu_leaks()
        return k.leaks()

    def place(self, k: Instance, slot: int, data: bytes, kind: int = 0, memory: int = 0, at: int = 0) -> None:
        """Data into a slot; ``RungError`` if there is no memory for it."""
        p = k.ffi.from_buffer(data)
        if kind == KINDS["file"]:
            error = k.check(k.lib.kemu_place_file(slot, p, 0, len(data), len(data)))
        else:
            error = k.check(k.lib.kemu_place(slot, p, len(data), memory, at))
        if error:
            raise RungError(f"no memory for {len(data)} bytes ({errno_name(-error)})")

    def _left(self, k: Instance, title: str) -> Trap:
        k.dead = True
        return Trap(title, [], k.log())

    def case(self, work: Callable[[Instance], Answer]) -> Answer:
        """One case: its answer, with the log, or what the kernel died of."""
        k = self.instance
        self.cases += 1
        k.lib.kemu_log_clear()
        k.lib.kemu_limit(int(self.timeout * 1000))
        try:
            answer = work(k)
        except Trap as trap:
            return trap.answer()
        finally:
            k.lib.kemu_limit(0)
        answer.kmsg = lines_of(k.log())
        return answer
