# SPDX-License-Identifier: GPL-2.0-only
"""Where the bytes of a file are, by the port and by the kernel's C, offset by offset: an experiment of the C rung."""
from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.erofs.choose import choose_image
from kemu.forge.erofs.mutate import mutate
from kemu.forge.erofs.streams import choose_streams
from kemu.linux.fcntl import AT_FDCWD
from kemu.linux.namei import filename_lookup, getname
from kemu.linux.path import Path, path_put
from kemu.machine.machine import Machine

from erofs_memback.data import erofs_map_blocks, erofs_put_metabuf
from erofs_memback.erofs_fs import erofs_inode_is_data_compressed
from erofs_memback.harness.differential import BACKENDS, CONFIG, IMAGES, ROOM, real_images, spoil
from erofs_memback.harness.mount import EROFS, MountError, mount_in
from erofs_memback.internal import EROFS_I, struct_erofs_map_blocks
from erofs_memback.zmap import z_erofs_map_blocks_iter

if TYPE_CHECKING:
    from kemu.rung.c.kernel import Instance, Kernel
    from kemu.rung.c.maps import Mapped

__role__ = "harness"
MOST_FILES = 40         # of an image, in an example
MOST_EXTENTS = 60       # of a file, in an example
MOST_STEPS = 1 << 29    # of a file, in an example: its extents times its size, for some layouts are read from their begin
SECONDS = 60            # of processor time that the C may take for one image
Asked = tuple[str, int, list[int]]      # a path, EROFS_GET_BLOCKS_* flags, logical offsets


def by_port(path: str, root: Path, flags: int, offsets: Sequence[int]) -> list[Mapped] | int:
    """What the port says of each offset; a negative errno if there is no such file."""
    from kemu.rung.c.maps import Mapped  # noqa: PLC0415  (start-up)

    place = Path()
    err = filename_lookup(AT_FDCWD, getname(path), 0, place, root)
    if err:
        return err
    inode = place.dentry.d_inode
    out = []
    for la in offsets:
        m = struct_erofs_map_blocks(m_la=la)
        if erofs_inode_is_data_compressed(EROFS_I(inode).datalayout):
            err = z_erofs_map_blocks_iter(inode, m, flags)
        else:
            err = erofs_map_blocks(inode, m)
        erofs_put_metabuf(m.buf)
        out.append(Mapped(m.m_la, m.m_pa, m.m_llen, m.m_plen, m.m_flags, m.m_deviceid, m.m_algorithmformat, err))
    path_put(place)
    return out


class Compared:
    """Both answers for one image: ``questions`` that were asked, and the first that was answered in two ways.

    ``different``: (title, details); None if there is no difference.
    """

    def __init__(self) -> None:
        self.questions = 0
        self.different: tuple[str, list[str]] | None = None
        self.mount_error: int | None = None
        self.errors: set[int] = set()


@functools.cache
def flags_of() -> tuple[int, ...]:
    """All that callers give."""
    from kemu.rung.c.maps import FIEMAP, FINDTAIL, READMORE  # noqa: PLC0415  (start-up)

    return 0, FIEMAP, READMORE, FINDTAIL


def compare(kernel: Kernel, machine: Machine, image: bytes, backend: str = "bdev", devices: Sequence[bytes] = (),
            asked: Sequence[Asked] | None = None, files: int = 1 << 20, extents: int = 1 << 20, steps: int = 0) -> Compared:
    """Ask both about an image: every offset that starts, ends or neighbours an extent of a file, or what is ``asked``.

    At most of so many ``files``, and of so many ``extents`` of each; fewer of a file whose size times that is more than
    ``steps`` (0: no limit).
    """
    from kemu.rung.c.kernel import MountRefused, RootRefused  # noqa: PLC0415  (start-up)

    out = Compared()
    c: list[tuple[Asked, list[Mapped] | int]] = []
    instance = kernel.instance
    instance.lib.kemu_limit(SECONDS * 1000)
    try:
        with kernel.mounted(image, devices=devices) as k:
            try:
                c = _by_c(k, asked, files, extents, steps)
            except BaseException:
                k.dead = True           # it is in the middle of something
                raise
    except RootRefused:
        return out
    except MountRefused as e:
        out.mount_error = e.errno
    finally:
        instance.lib.kemu_limit(0)
    with machine as m:
        try:
            mounted = mount_in(m, image, backend=backend, devices=devices, completion="sync")
        except MountError as e:
            if e.errno != out.mount_error:
                out.different = f"mount: C {out.mount_error or 'works'}, kemu errno {e.errno}", e.log[-2:]
            return out
        if out.mount_error is not None:
            out.different = f"mount: C errno {out.mount_error}, kemu works", []
        for (path, flags, offsets), answer in c:
            here = by_port(path, mounted.path, flags, offsets)
            out.questions += len(offsets)
            if here == answer:
                out.errors |= {x.error for x in answer if x.error} if isinstance(answer, list) else {answer}
                continue
            if isinstance(here, int) or isinstance(answer, int):
                out.different = f"{path}: C {_kind(answer)}, kemu {_kind(here)}", []
            else:
                i = next(i for i, (x, y) in enumerate(zip(answer, here)) if x != y)
                fields = [f for f in answer[i]._fields if getattr(answer[i], f) != getattr(here[i], f)]
                out.different = (f"{path}: {fields[0]} at {offsets[i]}: C {getattr(answer[i], fields[0])}, kemu "
                                 f"{getattr(here[i], fields[0])}", [f"flags {flags}", f"C: {answer[i]}", f"kemu: {here[i]}"])
            break
        mounted.umount()
    return out


def _kind(answer: list[Mapped] | int) -> str:
    return f"errno {-answer}" if isinstance(answer, int) else "a file"


def _by_c(k: Instance, asked: Sequence[Asked] | None, files: int, extents: int,
          steps: int) -> list[tuple[Asked, list[Mapped] | int]]:
    from kemu.rung.c.maps import MappedFile  # noqa: PLC0415  (start-up)

    out: list[tuple[Asked, list[Mapped] | int]] = []
    if asked is None:
        paths = [e["path"] for e in k.names() if e["type"] in ("file", "dir", "symlink")][:files]
        for path in paths:
            try:
                f = MappedFile(k, path)
            except OSError as e:
                out.append(((path, 0, []), -(e.errno or 0)))
                continue
            edges = f.edges(min(extents, max(2, steps // max(1, f.size))) if steps else extents)
            out += [((path, flags, edges), f.maps(edges, flags)) for flags in flags_of()]
        return out
    for path, flags, offsets in asked:
        try:
            out.append(((path, flags, offsets), MappedFile(k, path).maps(offsets, flags)))
        except OSError as e:
            out.append(((path, flags, offsets), -(e.errno or 0)))
    return out


@experiment("{backend}.maps.{rung}", variants=BACKENDS, rungs=("c",), base="erofs")
def maps(run: Run, backend: str) -> None:
    """The port maps every edge of every extent to where the kernel's C has it, in sound and in damaged images."""
    from kemu.rung import differential  # noqa: PLC0415  (start-up)
    from kemu.rung.asked import asked  # noqa: PLC0415  (start-up)
    from kemu.rung.c.kernel import Kernel, Trap  # noqa: PLC0415  (start-up)

    pick = run.pick
    kind = pick.int("kind", 0, 4)
    if kind == 3:
        made = choose_streams(pick)
        data, what = made.data, made.describe()
    elif kind == 4 and real_images():
        name, image = pick.one_of("image", real_images())
        data, notes = spoil(pick, image)
        what = f"{name}: " + "; ".join(notes)
    else:
        whole = choose_image(pick, IMAGES)
        bad = mutate(whole, pick) if kind else None
        data, what = (bad.data, bad.describe()) if bad is not None else (whole.data, whole.describe())
    if not data:
        return
    run.show(what)
    machine = run.machine(memory=ROOM, series=EROFS.backend(backend).series(), config=CONFIG)
    kernel = asked(run.rung).judge()
    assert isinstance(kernel, Kernel)
    try:
        found = compare(kernel, machine, data, backend, files=MOST_FILES, extents=MOST_EXTENTS, steps=MOST_STEPS)
    except Trap as trap:
        differential.crashed(run, differential.seen(trap.answer()))
    run.saw(f"mount {found.mount_error}", *(f"map {e}" for e in found.errors))
    if found.different is not None:
        title, details = found.different
        run.fail(title, *details, cause=title.partition(": ")[2].partition(" at ")[0])

