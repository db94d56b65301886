# SPDX-License-Identifier: GPL-2.0-only
"""What must hold for EROFS in a file: files that end early, that are read directly and answer later, files on other EROFS, and
files that share a page cache.
"""
from __future__ import annotations

import hashlib
import struct
from typing import Any

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge import tree
from kemu.forge.content import content
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.plan import ImagePlan, InodePlan, ZPlan
from kemu.forge.erofs.writer import build, fix_checksum
from kemu.forge.pick import Pick
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EIOCBQUEUED
from kemu.linux.fs import SB_RDONLY, Kiocb, address_space_operations, file_accessed, file_operations
from kemu.linux.include.fs.constants import IOCB_DIRECT
from kemu.linux.init_syscalls import init_mkdir, init_mount, init_rmdir, init_umount
from kemu.linux.mm.filemap import generic_file_read_iter
from kemu.linux.namei import LOOKUP_FOLLOW, kern_path
from kemu.linux.path import Path, path_put
from kemu.linux.types import this
from kemu.linux.uio import IovIter
from kemu.rung.py.backend import Placed
from kemu.rung.py.trial import errname, log_tail, manifest, walk

from erofs_memback.harness.mount import EROFS, settle, umount
from erofs_memback.harness.words import CONFIG, as_disk, kernel

__role__ = "harness"
SMALL = ErofsOptions(max_nodes=4, max_blocks=3, max_bytes=1 << 16, max_devices=0)
SHARE = CONFIG | {"CONFIG_EROFS_FS_PAGE_CACHE_SHARE": True}


# ------------------------------------------------------------------------- words of the experiments

def answer_later(path: str) -> None:
    """Direct reads of this file end in a kworker, and the read method looks at the iocb once more when it has handed it on, as
    those of file systems do.
    """
    at = Path()
    assert not kern_path(path, LOOKUP_FOLLOW, at)
    inode = at.dentry.d_inode
    inode.i_fop = file_operations(read_iter=_read_later, llseek=inode.i_fop.llseek)
    a_ops = inode.i_mapping.a_ops
    inode.i_mapping.a_ops = address_space_operations(read_folio=a_ops.read_folio, direct_IO=lambda iocb, iter: -EIOCBQUEUED)
    path_put(at)


def _read_later(iocb: Kiocb, to: IovIter) -> int:
    if not iocb.ki_flags & IOCB_DIRECT:
        return generic_file_read_iter(iocb, to)
    mine, it = Kiocb(), IovIter()
    mine.ki_filp, mine.ki_pos = iocb.ki_filp, iocb.ki_pos
    for name in IovIter.__slots__:
        setattr(it, name, getattr(to, name))

    def work() -> None:
        iocb.ki_complete(iocb, generic_file_read_iter(mine, it))

    this.sched.spawn("kworker/dio", work)
    this.sched.yield_("submit_bio")
    file_accessed(iocb.ki_filp)
    return -EIOCBQUEUED


def same(run: Run, got: list[dict[str, Any]], want: list[dict[str, Any]], lost: tuple[str, ...] = ()) -> None:
    """Every entry is what was written; or its error is one of ``lost``, or a directory could not be read."""
    a = {e["path"]: e for e in got}
    for e in want:
        x = a.get(e["path"])
        if x is None or x["error"] is not None:
            if not lost or (x is not None and x["error"] not in lost):
                run.fail(f"{e['path']}: {'missing' if x is None else x['error']}", *log_tail(), cause=f"error {x and x['error']}",
                         where=run.heard)
            continue
        for name in ("sha256", "target", "size", "mode"):
            if x.get(name) != e.get(name):
                run.fail(f"{e['path']}: {name} differs", f"here: {x[name]}", f"written: {e[name]}", cause=f"{name} differs",
                         severity="critical", where=run.filled())


# ------------------------------------------------------------------------- one file

@experiment("file.same-bytes", series="erofs-file", on_linux=("sched.nested",))
def same_bytes(run: Run) -> None:
    """An image in a file gives what was put into it, read directly or not, whoever is quicker; one that ends early what a disk
    gives, or EIO.
    """
    pick = run.pick
    image = choose_image(pick, SMALL) if pick.int("any image", 0, 1) else _one_file(pick)
    cut = pick.int("cut", 0, len(image.data) - 1) if pick.rare("cut short", 2) else 0
    direct = bool(pick.int("directio", 0, 1))
    run.show(image.describe(), f"without its last {cut} bytes" if cut else "", "directio" if direct else "")
    with kernel(run, "fileio", image.data[:len(image.data) - cut]) as [source]:
        if direct:
            answer_later(source.name)
        got: list[Any] = []

        def task() -> None:
            mnt = source.mount("directio" if direct else "")
            if IS_ERR(mnt):
                got.append(PTR_ERR(mnt))
                return
            got.append(manifest(mnt))
            umount(mnt)

        run.chooser.arm_schedule()
        this.sched.spawn("reader", task)
        settle()
        run.chooser.disarm_schedule()
        if not got:
            run.fail("the reader does not come to its end", *log_tail(), cause="reader")
        if isinstance(got[0], int):
            run.saw(f"mount {errname(got[0])}")
            if not cut and image.mount_error() is None:
                run.fail(f"mount: {errname(got[0])}", *log_tail(), cause="mount result", where=run.heard)
            return
        run.saw(*(f"{e['type']}:{e['error']}" for e in got[0]))
        if not cut:
            same(run, got[0], image.manifest())
            return
    # what a disk reads as zeros behind its end is EIO of a file; all else is the same
    same(run, got[0], [e for e in as_disk(image.data[:len(image.data) - cut], 4096)[1] if e["error"] is None], ("EIO",))


def _one_file(pick: Pick) -> ErofsImage:
    """A file of some blocks, which may lie here and there."""
    layout = pick.one_of("layout", ("chunk", "full", "plain", "inline", "extents"))
    file = tree.File(data=content(pick.one_of("content", ("mixed", "ruler", "noise")), 1, pick.int("size", 1, 8 * 4096)))
    z = (ZPlan(cuts=(4096, 9000), big=3, max_blocks=4, tail=bool(pick.int("tail", 0, 1))) if layout in ("full", "extents")
         else None)
    plan = InodePlan(data=layout, scatter=bool(pick.int("scattered", 0, 1)), chunk_indexes=True, z=z)
    return build(tree.Dir(entries={b"f": file}), ImagePlan(order=pick.one_of("order", ("meta-first", "shuffled", "data-reverse")),
                                                           keys=(3, 1, 4, 1, 5, 9, 2, 6),
                                                           inodes={id(file): plan}))


# ------------------------------------------------------------------------- files on EROFS

def _around(data: bytes, layout: str) -> bytes:
    """An image with the file i, which has ``data``."""
    file = tree.File(data=data)
    z = ZPlan(cuts=(16384,), big=3, max_blocks=4) if layout == "full" else None
    return bytes(build(tree.Dir(entries={b"i": file}), ImagePlan(inodes={id(file): InodePlan(data=layout, z=z)})).data)


@experiment("file.nested", series="erofs-file", weight=0.5)
def nested(run: Run) -> None:
    """An image in a file of a disk's EROFS is mounted and gives its bytes; an image in a file of a file's EROFS is refused
    (ENOTBLK): stacks are small.
    """
    pick = run.pick
    levels = pick.int("levels", 1, 3)
    on_disk = not pick.int("in a file", 0, 1)
    direct = bool(pick.int("directio", 0, 1))
    body = content("ruler", 1, 4096 * pick.int("blocks", 1, 8) + 5)
    data = _around(body, "plain")
    for _ in range(levels):
        data = _around(data, pick.one_of("layout", ("plain", "chunk", "full")))
    run.show(f"an image in {levels} other{'s' if levels > 1 else ''}, the outermost "
             f"{'on a disk' if on_disk else 'in a file'}{', directio' if direct else ''}")
    with kernel(run, "bdev" if on_disk else "fileio", data) as [source]:
        at = source.name
        results, read = [], ""
        dirs: list[str] = []
        for level in range(levels + 1):
            where = f"/level{level}"
            init_mkdir(where, 0o755)
            dirs.append(where)
            err = init_mount(at, where, "erofs", SB_RDONLY, "directio" if direct and level else None)
            results.append(errname(err) if err else "mounted")
            settle()
            if err:
                break
            at = where + "/i"
        stood = results.count("mounted")
        if stood == levels + 1:
            path = Path()
            assert not kern_path(f"/level{levels}", LOOKUP_FOLLOW, path)
            read = next(e["error"] or e["sha256"] for e in walk(path.mnt) if e["path"] == "/i")
            path_put(path)
        for i, where in reversed(list(enumerate(dirs))):
            if i < stood:
                init_umount(where, 0)
            settle()
            init_rmdir(where)
        run.saw(" ".join(results))
        most = 2 if on_disk else 1          # file systems one above the other
        want = ["mounted"] * min(levels + 1, most) + ["ENOTBLK"] * (levels + 1 > most)
        if results != want:
            run.fail(f"mounts one above the other: {', '.join(results)}; expected: {', '.join(want)}", *log_tail(),
                     cause=f"nesting: {results[len(want) - 1:]}", where=run.heard)
        if stood == levels + 1 and read != hashlib.sha256(body).hexdigest():
            run.fail(f"the innermost file is not what was written: {read}", *log_tail(), cause="nested bytes",
                     severity="critical")


# ------------------------------------------------------------------------- shared page cache

def shared_image(files: dict[bytes, tuple[bytes, str]]) -> bytes:
    """An image with files (contents, layout) that have fingerprints of their contents, as mkfs.erofs --xattr-inode-digest writes
    them.
    """
    entries: dict[bytes, tree.Node] = {}
    plan = ImagePlan()
    for name, (data, layout) in files.items():
        file = tree.File(data=data, xattrs={b"trusted.erofs.fingerprint": b"sha256:" + hashlib.sha256(data).digest()})
        entries[name] = file
        plan.inodes[id(file)] = InodePlan(data=layout, z=ZPlan(cuts=(16384,), big=3, max_blocks=4)
                                          if layout in ("full", "compact", "extents") else None)
    image = bytearray(build(tree.Dir(entries=entries), plan).data)
    prefix = b"\x04erofs.fingerprint"           # EROFS_XATTR_INDEX_TRUSTED
    image[512:514 + len(prefix)] = struct.pack("<H", len(prefix)) + prefix
    compat = struct.unpack_from("<I", image, 1024 + 8)[0]
    struct.pack_into("<I", image, 1024 + 8, compat | 0x20)           # EROFS_FEATURE_COMPAT_ISHARE_XATTRS
    image[1024 + 91] = 1
    struct.pack_into("<I", image, 1024 + 92, 512 // 4)
    fix_checksum(image)
    return bytes(image)


@experiment("file.shared", series="erofs-file", run_seconds=8)
def shared(run: Run) -> None:
    """Files of equal contents on several mounts give their bytes, whichever mount is read first or goes first, however each
    stores them and wherever it is.
    """
    pick = run.pick
    bodies = [content(pick.one_of("content", ("ruler", "text", "mixed")), tag, pick.int("size", 1, 5 * 4096)) for tag in range(2)]
    mounts = []
    for _ in range(pick.int("mounts", 2, 3)):
        files = {name: (bodies[pick.int("body", 0, 1)], pick.one_of("layout", ("plain", "full", "chunk", "compact")))
                 for name in (b"f", b"g")}
        mounts.append((files, pick.one_of("where", ("disk", "file")), pick.one_of("domain", ("d", "d", "e"))))
    gone = pick.int("goes first", 0, len(mounts) - 1)
    before = pick.int("read before that", 0, len(mounts))
    run.show(*[f"{where}, domain {domain}: " + ", ".join(f"{n.decode()} {len(d)} bytes {layout}"
                                                         for n, (d, layout) in files.items()) for files, where, domain in mounts])
    with kernel(run, "bdev", config=SHARE):
        sources = [EROFS.open("bdev" if where == "disk" else "fileio", Placed(this.machine.place(shared_image(files))),
                              completion="sync")
                   for files, where, _ in mounts]
        mnts: list[Any] = []
        for s, (_, _, domain) in zip(sources, mounts):
            mnt = s.mount(f"domain_id={domain},inode_share")
            if IS_ERR(mnt):
                run.fail(f"mount: {errname(PTR_ERR(mnt))}", *log_tail(), cause="mount result", where=run.heard)
            mnts.append(mnt)

        def read(i: int) -> None:
            got = {e["path"]: e for e in walk(mnts[i])}
            for name, (data, layout) in mounts[i][0].items():
                e = got.get("/" + name.decode())
                if e is None or e["error"] is not None or e["sha256"] != hashlib.sha256(data).hexdigest():
                    run.fail(f"/{name.decode()} ({layout}) of mount {i}: {e and (e['error'] or 'other bytes')}", *log_tail(),
                             cause=f"shared: {e and e['error']}",
                             severity="critical", where=run.filled())

        for mnt in mnts:                    # all inodes are there, none of their bytes
            for _ in walk(mnt, contents=False):
                pass
        for i in range(before):
            read(i)
        umount(mnts[gone])
        for i in range(len(mnts)):
            if i != gone:
                read(i)
        for i, mnt in enumerate(mnts):
            if i != gone:
                umount(mnt)
        for s in sources:
            s.drop()
