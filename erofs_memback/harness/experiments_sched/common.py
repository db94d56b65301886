# SPDX-License-Identifier: GPL-2.0-only
"""What the experiments of chosen schedules share: images, and what a task does in a mount."""
from __future__ import annotations

import functools
import os

from kemu.forge.pick import Pick
from kemu.report.manifest import Entry
from kemu.rung.uml.sched.asked import asked_sched
from kemu.rung.uml.sched.program import LATE, LATE_RCU, MNT, NEWEST, ROOM, SLOW, Step, close, map_, mount, open_, read, umount
from kemu.rung.uml.sched.wire import What
from kemu.samples import sample

from erofs_memback.harness.experiments_tasks import PATHS, sound_image

__role__ = "harness"
DISK = f"{ROOM}/dev/kemu0"

MOST = 1 << 16          # bytes of a file that a task reads
GONE = [umount(), Step(What.SETTLE), Step(What.SUPERS, "erofs")]


@functools.lru_cache(64)
def shown(image: bytes) -> tuple[Entry, ...]:
    """What is in an image."""
    return tuple(asked_sched().kernel().walk(image, 4 * PATHS))


def below(place: str, entry: Entry) -> str:
    """Where an entry is found."""
    return place + "/" + str(entry["path"]).lstrip("/")


def paths(image: bytes, kind: str, place: str = MNT) -> list[tuple[str, int]]:
    """(path below the mount, size) of its regular files, or its other inodes of a kind."""
    there = [e for e in shown(image) if e["type"] == kind and not e["error"]][:PATHS]
    return [(below(place, e), int(e["size"] or 0)) for e in there]


def read_pages(pick: Pick, slot: int, path: str, size: int) -> list[Step]:
    """A file read forwards, backwards, from the middle, directly, through a mapping, or ahead, with nobody who waits for it; the
    simplest: forwards."""
    size = min(size, MOST)
    how = pick.int("how", 0, 5)
    at = range(0, max(size, 1), 4096)
    if how == 4:
        return [open_(slot, path), map_(slot, 0, max(size, 1)), close(slot)]
    if how == 5:
        return ahead(slot, path, *part(pick, size))
    order = {0: list(at), 1: list(reversed(at)), 2: [*at[len(at) // 2:], *at[:len(at) // 2]], 3: list(at)}[how]
    flags = os.O_RDONLY | (os.O_DIRECT if how == 3 else 0)
    return [open_(slot, path, flags), *(read(slot, a, 4096) for a in order[:16]), close(slot)]


def ahead(slot: int, path: str, at: int, length: int) -> list[Step]:
    """A part of a file that is read ahead, with nobody who waits for it."""
    return [open_(slot, path), Step(What.FADVISE, slot=slot, a=at, b=length, c=os.POSIX_FADV_WILLNEED), close(slot)]


def part(pick: Pick, size: int, first: int = 0) -> tuple[int, int]:
    """A part of a file in whole pages: where it begins, and its bytes; the simplest is all of it, from page ``first`` on."""
    pages = -(-size // 4096)
    at = (first + pick.int("from page", 0, max(pages - 1, 0))) % max(pages, 1)
    return at * 4096, (pages - at - pick.int("pages less", 0, max(pages - at - 1, 0))) * 4096


def look(pick: Pick, slot: int, image: bytes, place: str = MNT, first: int | None = None) -> list[Step]:
    """Something that a task does in a mount; the simplest reads a file, of the largest ones the ``first`` (the ``slot``-th)."""
    files = sorted(paths(image, "file", place), key=lambda f: -f[1])
    first = slot if first is None else first
    files = files[first:] + files[:first]
    kind = pick.int("what", 0, 5)
    folders = paths(image, "dir", place)
    links = paths(image, "symlink", place)
    if kind == 1 and folders:
        path, _ = pick.one_of("folder", folders)
        return [open_(slot, path, os.O_RDONLY | os.O_DIRECTORY), Step(What.READDIR, slot=slot), close(slot)]
    if kind == 2 and links:
        return [Step(What.READLINK, pick.one_of("link", links)[0])]
    if kind == 3:
        with_xattrs = [(below(place, e), x) for e in shown(image) for x in (e["xattrs"] or {})][:PATHS]
        if with_xattrs:
            path, name = pick.one_of("xattr", with_xattrs)
            return [Step(What.GETXATTR, path, name)]
    if kind == 4:
        return [Step(What.STATFS, place), *(Step(What.STAT, p) for p, _ in files[:4])]
    if not files:
        return [Step(What.STAT, place)]
    path, size = pick.one_of("file", files)
    return read_pages(pick, slot, path, size)


def image_of(pick: Pick) -> tuple[bytes, str]:
    """A sound image that the kernel mounts."""
    data, what = sound_image(pick)
    return (data, what) if data and shown(data) else (b"", what)


def small(pick: Pick) -> tuple[bytes, str]:
    """The bench's own image first: two files of several pclusters that are decompressed by way of the global buffer."""
    if not pick.int("another image", 0, 2):
        return sample("pair.erofs").read_bytes(), "pair.erofs"
    return image_of(pick)


def source(backend: str, n: int = 0) -> str:
    """Where the n-th image is."""
    return {"disk": f"{ROOM}/dev/kemu{n}", "loop": f"{ROOM}/dev/loop{n}", "file": f"{ROOM}/files/{n}"}[backend]


def places(n: int) -> list[Step]:
    """A tmpfs at the mount point, with n directories to mount on."""
    return [mount("tmpfs", MNT, "tmpfs", "mode=0755", read_only=False),
            *(Step(What.MKDIR, place(i), a=0o755) for i in range(n))]


def place(n: int) -> str:
    """The n-th of them."""
    return f"{MNT}/{n}"


def ends(pick: Pick, backend: str = "disk") -> int:
    """When bios end, of those that are a disk's: where they are submitted, or later."""
    return bios_end(pick, (0, LATE, LATE_RCU)) if backend == "disk" else 0


def bios_end(pick: Pick, ways: tuple[int, ...] = (LATE, 0, LATE_RCU)) -> int:
    """One of the ways in which bios end; of those that end later some take time, or overtake each other."""
    way = pick.one_of("bios end", ways)
    if way:
        way = way & ~SLOW | pick.one_of("slowly", (ways[0] & SLOW, ways[0] & SLOW ^ SLOW))
    if way and pick.rare("overtake", 4):
        way |= NEWEST
    return way
