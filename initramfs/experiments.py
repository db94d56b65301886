# SPDX-License-Identifier: GPL-2.0-only
"""What must hold of a design of the initial root file system: the posted initerofs and ours under the same experiments.

The measure is upstream: with the feature off, or with an initrd that is not for it, nothing may differ; where an attempt fails, the kernel must be as
if it had never tried; where it succeeds, the new root is complete.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge import tree
from kemu.forge.cpio import trailer
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.erofs.writer import build
from kemu.linux.series import Series
from kemu.machine.boot import BootResult, newc_entry
from kemu.machine.machine import Machine

from initramfs import designs, initerofs_rfc, layered
from initramfs import initramfs as base

__harness__ = True
DESIGNS = {"initerofs-rfc": {"design": "initerofs-rfc"}, "layered": {"design": "layered"}}
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(12) + (64).to_bytes(8, "little") + bytes(14) + b"\x38\x00\x01\x00" + bytes(6)
INIT = ELF.ljust(64, b"\0") + bytes(56)
_current: list[Run] = []


# ------------------------------------------------------------------------- inputs

def erofs_image(mark: str, init: bool = True, blocks: int = 1) -> bytes:
    """An image with ``mark``, a directory, and maybe /init."""
    entries: dict[bytes, tree.Node] = {mark.encode(): tree.File(data=mark.encode() * 700 * blocks),
                                       b"etc": tree.Dir(entries={b"of-" + mark.encode(): tree.File(data=b"x")})}
    if init:
        entries[b"init"] = tree.File(data=INIT, mode=0o755)
    return bytes(build(tree.Dir(entries=entries), ImagePlan()).data)


def cpio_archive(mark: str, init: bool = True) -> bytes:
    """An archive with the same."""
    out = _file(mark, mark.encode() * 700, 0o100644, 10) + newc_entry("etc", 0o040755, 2, 0, 0, 11) + _file("etc/of-" + mark, b"x", 0o100644, 12)
    if init:
        out += _file("init", INIT, 0o100755, 13)
    return out + trailer().encode()


def _file(name: str, data: bytes, mode: int, ino: int) -> bytes:
    raw = name.encode() + b"\0"
    fields = (ino, mode, 0, 0, 1, 0, len(data), 3, 1, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + raw
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


# ------------------------------------------------------------------------- what a boot came to

class State:
    """What can be seen of a kernel when it looks for init, and of the initrd's memory at the end."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.log: list[tuple[int, str]] = []

    def differences(self, other: State) -> list[str]:
        return [k for k in self.values if self.values[k] != other.values.get(k)]


def observe(state: State) -> None:
    """With the machine current."""
    from kemu.cli._boot_views import mounts
    from kemu.linux.fs_struct import current_fs
    from kemu.linux.genhd import registry

    fs = current_fs()
    state.values["mounts"] = sorted((m["mountpoint"], m["type"], m["options"][0]) for m in mounts())
    state.values["working directory"] = fs.pwd.dentry is fs.root.dentry and fs.pwd.mnt is fs.root.mnt
    state.values["block device majors"] = sorted(registry().majors.values())
    state.values["exported"] = base.g.bin_attr_initrd.size


def run_boot(design: str, initrd: bytes, *, machine: Callable[..., Machine] = Machine, rodata: str = "plain", probe: bool = False,
             read_all: bool = False, **kw: Any) -> tuple[BootResult, State]:
    """One boot; a detector's report is raised."""
    state = State()

    def prepare(m: Any) -> None:
        m.parts["rodata"] = rodata

    def after(result: BootResult) -> None:
        if result.ended != "splat":
            observe(state)
            if read_all:
                read_mounts()

    d = designs.find(design)
    if probe:
        d = designs.Design(d.name, (*d.series, _probes[design]), d.config, d.initcalls, d.replaced, d.image)
    result = designs.boot(d, initrd, prepare=prepare, after=after, machine=machine, **kw)
    if result.ended == "splat" and result.error is not None:
        raise result.error
    region = result.initrd
    state.values["root"] = [(e["path"], e["type"], e["mode"], e["sha256"]) for e in result.tree or []]
    state.values["end"] = (result.ended, str(result.error).split("\n")[0] if result.error else "")
    first = region.addr if region is not None else 0
    state.values["freed"] = sorted((a - first, b - first, n) for a, b, n, what, _ in result.freed if what == "initrd")
    state.log = [(level, text) for _, level, text in result.machine.log.entries]
    return result, state


def read_mounts() -> None:
    """Read every file of every mounted tree: what lends memory must still have it."""
    from kemu.linux.path import Path
    from kemu.linux.vfs.mounts import g, mntget, mntput, next_mnt
    from kemu.report.walk import walk

    for m in next_mnt(g.init_mnt_ns.root):
        mntget(m)
        for _ in walk(Path(m, m.mnt_root)):
            pass
        mntput(m)


def _probe(original: Callable[[], Any], name: str) -> Series:
    """A series that lets calls fail while the attempt runs, the first time."""
    s = Series(name, ("initramfs",))

    @s.replaces(original)
    def attempt() -> Any:
        run = _current[-1] if _current else None
        if run is None:
            return original()
        _current.clear()
        run.chooser.arm_faults()
        ret = original()
        run.chooser.disarm_faults()
        return ret
    return s


_probes = {"initerofs-rfc": _probe(initerofs_rfc.initerofs_mount_root, "probe of initerofs-rfc"),
           "layered": _probe(layered.layered_initrd_setup, "probe of layered")}


# ------------------------------------------------------------------------- success

@experiment("{design}.boots", variants=DESIGNS)
def boots(run: Run, design: str) -> None:
    """An image as initrd boots, wherever it lies in memory, with no report of any detector."""
    at = run.pick.int("at", 0, 4095)
    blocks = run.pick.int("blocks", 1, 3)
    run.show(f"an EROFS image at offset {at} of a page")
    result, state = run_boot(design, erofs_image("a", blocks=blocks), machine=run.machine, rodata="guarded", at=at, read_all=True)
    if not result.ok:
        run.fail(f"the boot ends with: {state.values['end'][1]}", *result.log[-4:], cause="no boot", where=run.heard)


@experiment("{design}.writes-no-constants", variants=DESIGNS)
def writes_no_constants(run: Run, design: str) -> None:
    """Constant data of the kernel is after the boot what it was before."""
    from kemu.linux.rodata import changed

    seen: list[str] = []
    run.show("an EROFS image as initrd")
    d = designs.find(design)
    designs.boot(d, erofs_image("a"), prepare=lambda m: m.parts.__setitem__("rodata", "plain"), after=lambda r: seen.extend(changed()), machine=run.machine)
    if seen:
        which = seen[run.pick.int("which", 0, 1) % len(seen)]
        run.fail(f"constant data was written to: {which}", *seen, cause="constants: " + ("behind" if "behind" in which else "text"), severity="critical")


@experiment("{design}.says-nothing-new", variants=DESIGNS)
def says_nothing_new(run: Run, design: str) -> None:
    """A boot with an image logs no warning that a boot with the same tree as an archive does not log."""
    run.show("the same tree as an archive and as an image")
    _, upstream = run_boot("upstream", cpio_archive("a"))
    _, state = run_boot(design, erofs_image("a"), machine=run.machine)
    known = {text for _, text in upstream.log}
    new = [text for level, text in state.log if text not in known and (level <= 4 or "called before" in text)]
    if new:
        which = new[run.pick.int("which", 0, 3) % len(new)]
        run.fail(f"a warning that upstream does not give: {which}", *new, cause=f"warning: {which}", severity="medium", where=run.heard)


@experiment("{design}.keeps-the-built-in", variants=DESIGNS)
def keeps_the_builtin(run: Run, design: str) -> None:
    """What the kernel's own archive has is in the root, as with an archive as initrd."""
    run.show("an EROFS image as initrd, the default built-in archive")
    _, upstream = run_boot("upstream", cpio_archive("a"))
    _, state = run_boot(design, erofs_image("a"), machine=run.machine)
    have = {p for p, *_ in state.values["root"]}
    gone = [p for p, *_ in upstream.values["root"] if p not in have]
    if gone:
        run.fail(f"{gone[0]} of the built-in archive is not in the root", *gone, cause="built-in archive gone")


# ------------------------------------------------------------------------- rows of segments

@experiment("{design}.rows", variants=DESIGNS)
def rows(run: Run, design: str) -> None:
    """Every archive and every image of an initrd is in the root, in whatever order and with whatever padding."""
    kinds = [run.pick.one_of("kind", ("erofs", "cpio")) for _ in range(run.pick.int("segments", 1, 4))]
    if "erofs" not in kinds:
        return
    data = b""
    for i, kind in enumerate(kinds):
        last = i == len(kinds) - 1
        data += erofs_image(f"p{i}", last) if kind == "erofs" else cpio_archive(f"p{i}", last)
        data += bytes(run.pick.one_of("padding", (0, 4, 512, 1024)))
        data += bytes(-len(data) % run.pick.one_of("alignment", (4, 512, 4096)))
    at = run.pick.int("at", 0, 4095)
    run.show(f"{', '.join(kinds)}; {len(data)} bytes at offset {at} of a page")
    _, state = run_boot(design, data, machine=run.machine, at=at, read_all=True)
    have = {p for p, *_ in state.values["root"]}
    gone = [i for i in range(len(kinds)) if f"/p{i}" not in have or f"/etc/of-p{i}" not in have]
    if gone:
        first = kinds[gone[0]]
        place = f"behind {'an archive' if kinds[gone[0] - 1] == 'cpio' else 'an image'}" if gone[0] else "at the beginning"
        run.fail(f"segment {gone[0]} ({first}, {place}) of {len(kinds)} is not in the root", *[t for _, t in state.log[-6:]],
                 cause=f"{first} {place} is lost", where=run.heard)


# ------------------------------------------------------------------------- as ever

@experiment("{design}.as-ever", variants=DESIGNS)
def as_ever(run: Run, design: str) -> None:
    """With an archive as initrd, or an image where the configuration ignores the initrd, nothing differs from upstream."""
    force = bool(run.pick.int("CONFIG_INITRAMFS_FORCE", 0, 1))
    retain = bool(run.pick.int("retain_initrd", 0, 1))
    erofs = force and bool(run.pick.int("an image", 0, 1))
    cmdline = "retain_initrd" if retain else ""
    data = erofs_image("a", blocks=5) if erofs else cpio_archive("a") + bytes(9000)
    config = {"CONFIG_INITRAMFS_FORCE": force}
    run.show(f"{'an image' if erofs else 'an archive'}, CONFIG_INITRAMFS_FORCE={'y' if force else 'n'}{', retain_initrd' if retain else ''}")
    _, upstream = run_boot("upstream", data, config=config, cmdline=cmdline)
    _, state = run_boot(design, data, machine=run.machine, config=config, cmdline=cmdline)
    for what in upstream.differences(state):
        run.fail(f"{what}: {state.values[what]!r:.120}, upstream {upstream.values[what]!r:.120}", cause=f"as ever: {what}")
    if [t for _, t in state.log] != [t for _, t in upstream.log]:
        run.fail("the log differs from upstream's", cause="as ever: log", severity="low")


# ------------------------------------------------------------------------- failing calls

def _attempt(run: Run, design: str, mixed: bool, read_all: bool) -> tuple[bytes, State]:
    data = (cpio_archive("m", False) if mixed else b"") + erofs_image("a")
    run.show("an archive and an EROFS image" if mixed else "an EROFS image as initrd")
    _current[:] = [run]
    _, state = run_boot(design, data, machine=run.machine, probe=True, read_all=read_all)
    _current.clear()
    return data, state


_known: dict[tuple[str, bytes], State] = {}


def _reference(design: str, data: bytes) -> State:
    """A boot without detectors and failures; the same every time."""
    key = (design, data)
    if key not in _known:
        _known[key] = run_boot(design, data)[1]
    return _known[key]


@experiment("{design}.failing-calls", variants=DESIGNS, weight=2.0)
def failing_calls(run: Run, design: str) -> None:
    """An attempt in which a call fails ends with the complete new root, or as if it had never been made."""
    data, state = _attempt(run, design, design == "layered" and bool(run.pick.int("mixed", 0, 1)), False)
    done = _reference(design, data)
    off = _reference("upstream", data)
    if not done.differences(state):
        return
    wrong = off.differences(state)
    run.saw(*wrong)
    if wrong:
        what = wrong[0]
        run.fail(f"after a failed attempt: {what}: {state.values[what]!r:.160}, upstream: {off.values[what]!r:.160}", *[t for _, t in state.log[-8:]],
                 cause=f"failed attempt leaves: {what}", severity="critical", where=run.heard)


@experiment("{design}.one-attempt", variants=DESIGNS)
def one_attempt(run: Run, design: str) -> None:
    """An attempt that fails is not made again."""
    _, state = _attempt(run, design, False, False)
    lines = [t for _, t in state.log if "mounting EROFS from initrd" in t]
    if len(lines) > 1:
        run.fail(f"the attempt is made {len(lines)} times", *[t for _, t in state.log[-12:]], cause="more than one attempt", where=run.heard)


@experiment("{design}.reads-after-failure", variants=DESIGNS, weight=1.5)
def reads_after_failure(run: Run, design: str) -> None:
    """Whatever is mounted when the attempt is over can be read: its memory is there."""
    _attempt(run, design, False, True)


# ------------------------------------------------------------------------- the block device of the posted patch

@experiment("initerofs-rfc.disk-has-every-byte", series="initerofs-rfc")
def disk_has_every_byte(run: Run) -> None:
    """The disk has every byte of the initrd, in its last sector too."""
    from kemu.linux.genhd import get_capacity

    from initramfs import initerofs_blkdev_rfc as blk

    size = 4096 + run.pick.int("size", 0, 1024)
    run.show(f"an initrd of {size} bytes")
    with run.machine(config={"CONFIG_INITEROFS": True}) as m:
        _ready()
        region = m.place(bytes(size), 0, "linear", "initrd")
        if blk.initerofs_blkdev_create(region.addr, region.size) is None:
            return
        have = get_capacity(blk.g.initerofs_disk) * 512
        blk.initerofs_blkdev_destroy()
        if have < size:
            run.fail(f"the disk ends {size - have} bytes before the initrd", cause="capacity", severity="low", where=("initerofs_blkdev_create", ""))


@experiment("initerofs-rfc.disk-reads-right", series="initerofs-rfc")
def disk_reads_right(run: Run) -> None:
    """A bio gets the bytes that it asks for, however its pages are cut."""
    from kemu.linux.bio import REQ_OP_READ, Bio, bio_init, submit_bio_wait
    from kemu.linux.bvec import BioVec
    from kemu.linux.gfp import GFP_KERNEL, __free_page, alloc_page
    from kemu.linux.mm import page_address
    from kemu.linux.string import mem_read

    from initramfs import initerofs_blkdev_rfc as blk

    content = bytes(i * 7 + (i >> 8) & 0xFF for i in range(8192))
    first = run.pick.int("first segment", 1, 1023)
    run.show(f"a bio of 1024 bytes in segments of {first} and {1024 - first}")
    with run.machine(config={"CONFIG_INITEROFS": True}) as m:
        _ready()
        region = m.place(content, 0, "linear", "initrd")
        if blk.initerofs_blkdev_create(region.addr, region.size) is None:
            return
        pages = [alloc_page(GFP_KERNEL), alloc_page(GFP_KERNEL)]
        bio = Bio()
        bio_init(bio, blk.g.initerofs_disk.part0, [BioVec(pages[0], first, 0), BioVec(pages[1], 1024 - first, 0)], 2, REQ_OP_READ)
        bio.bi_vcnt = 2
        bio.bi_iter.bi_size = 1024
        bio.bi_iter.bi_sector = 2
        err = submit_bio_wait(bio)
        got = mem_read(page_address(pages[0]), first) + mem_read(page_address(pages[1]), 1024 - first) if not err else b""
        for p in pages:
            __free_page(p)
        blk.initerofs_blkdev_destroy()
        if not err and got != content[1024:2048]:
            at = next(i for i, (a, b) in enumerate(zip(got, content[1024:2048])) if a != b)
            run.fail(f"byte {at} of a bio of two segments comes from elsewhere", cause="segments", where=("initerofs_submit_bio", ""))


def _ready() -> None:
    """A root file system, and somewhere for device nodes."""
    from kemu.linux.init_syscalls import init_mkdir
    from kemu.linux.vfs.mnt_init import mnt_init

    mnt_init()
    init_mkdir("/dev", 0o755)
