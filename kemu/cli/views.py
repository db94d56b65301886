# SPDX-License-Identifier: GPL-2.0-only
"""Commands that mount an image of some file system in the emulated kernel and look into it: their arguments, their views, their
errors.

A port's command says which file system it is, and what it takes besides::

    def add_arguments(parser):
        views.add_image_arguments(parser, "minix", "a MINIX image")
        views.add_view_arguments(parser)

    def run(args):
        return views.run(args, MINIX, args.image)
"""
from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kemu.cli.common import EXIT_CONFIG, EXIT_FAILED, EXIT_OK, CommandError, errno_text
from kemu.cli.values import byte_offset, byte_size, check_at, name_of_file, page_size, path_inside
from kemu.machine.splat import KernelPanic, Splat
from kemu.samples import shown

if TYPE_CHECKING:                   # what it imports takes longer than to say what is wrong with an argument
    from kemu.linux.path import Path
    from kemu.machine.machine import Machine
    from kemu.machine.series import Series
    from kemu.report.walk import ReadLimit
    from kemu.rung.py.backend import Backend
    from kemu.rung.py.mount import FileSystem, Mounted

JSON_LIMIT = 32 << 20           # a file as one text takes many times its size


# ------------------------------------------------------------------------- arguments

def add_image_arguments(parser: argparse.ArgumentParser, filesystem: str, image: str, *, default: str = "bdev",
                        pages: str = "") -> None:
    """IMAGE, --backend, --at and --page-size. ``image``: what IMAGE is; ``default``: of the back ends; ``pages``: what there is
    to say of the page size.
    """
    names, told = backends(filesystem)
    parser.add_argument("image", type=name_of_file, metavar="IMAGE", help=image)
    parser.add_argument("--backend", choices=names, default=default,
                        help=f"what the image is read through: {told} (default: {default})")
    parser.add_argument("--at", type=byte_offset, default=0, metavar="N", help="place the image N bytes behind a page boundary")
    parser.add_argument("--page-size", type=page_size, default=4096, metavar="4096|16384|65536",
                        help="PAGE_SIZE of the emulated kernel" + pages)


def add_view_arguments(parser: argparse.ArgumentParser) -> None:
    """--read-limit, one of the views, --no-short and --json."""
    parser.add_argument("--read-limit", type=byte_size(), default=0, metavar="SIZE",
                        help="bytes of files that a view reads at most (default: 1G, or 16 for each byte that a "
                        "larger image has on disk; 32M for --json --cat)")
    view = parser.add_mutually_exclusive_group()
    view.add_argument("--manifest", action="store_true", help="every inode, as JSON lines")
    view.add_argument("--ls", type=path_inside, metavar="PATH", help="list a directory, or one file")
    view.add_argument("--cat", type=path_inside, metavar="PATH", help="the contents of a file")
    view.add_argument("--stats", action="store_true", help="statfs, and what the mount has cost")
    view.add_argument("--dmesg", action="store_true", help="the kernel's log")
    parser.add_argument("--no-short", action="store_true",
                        help="run every function itself, and none in its short form: the same result, later")
    parser.add_argument("--json", action="store_true", help="one JSON object or array instead of text")


def backends(filesystem: str) -> tuple[list[str], str]:
    """The names of the back ends that are installed, and what each is, as one text. One that cannot be imported says so here; it
    stops those who ask for it.
    """
    from kemu.rung.py.backend import find, names_of  # start-up

    names = names_of(filesystem)
    told = []
    for name in names:
        try:
            told.append(f"{find(filesystem, name).help} ({name})")
        except Exception as e:
            told.append(f"{name} (cannot be imported: {type(e).__name__}: {e})")
    return names, ", ".join(told)


def find_backend(fs: FileSystem, name: str) -> Backend:
    """The back end that was asked for; a configuration error where it is not installed, or its package is broken."""
    from kemu.rung.py.backend import UnknownBackend  # start-up

    try:
        return fs.backend(name)
    except UnknownBackend as e:
        raise CommandError(f"--{e}", EXIT_CONFIG) from None
    except Exception as e:
        raise CommandError(f"--backend {name}: cannot be imported: {type(e).__name__}: {e}", EXIT_CONFIG) from None


# ------------------------------------------------------------------------- mounting

def run(args: argparse.Namespace, fs: FileSystem, image: str | memoryview, *, devices: Sequence[str] = (), options: str = "",
        config: dict[str, Any] | None = None, series: Sequence[Series] = ()) -> int:
    """Mount ``image``, show what was asked for, unmount; ``series``: on top of what the back end needs. The exit code;
    CommandError for what fails.
    """
    from kemu.rung.py.mount import MountError  # start-up

    backend = find_backend(fs, args.backend)
    if series:
        from kemu.series.whole import check_stack  # start-up

        check_stack([*backend.series(), *series])
    try:
        with fs.machine_for(image, devices, backend=backend, page_size=args.page_size, config=config, series=series,
                            short=[] if args.no_short else backend.short()) as machine:
            check_at(args.at, machine.mem.nr_pages * machine.mem.page_size)
            try:
                m = fs.mount_in(machine, image, backend=backend, at=args.at, devices=devices, options=options)
                try:
                    show(args, m, devices)
                finally:
                    sys.stdout.flush()
                m.umount()
                return EXIT_OK
            except MountError as e:
                if args.dmesg:
                    dmesg(args, machine)
                raise CommandError(f"{errno_text(e.errno)}: {e.message or 'the kernel logged nothing about it'}") from None
            except Splat as e:
                if args.dmesg:
                    dmesg(args, machine)
                if args.verbose:
                    print(e, file=sys.stderr)
                raise CommandError(e.title, 255 if isinstance(e, KernelPanic) else EXIT_FAILED) from None
    except MemoryError as e:
        raise CommandError(f"{shown(args.image)}: the emulated machine has {e or 'no room'}") from None


def show(args: argparse.Namespace, m: Mounted, devices: Sequence[str] = ()) -> None:
    """The view that was asked for."""
    def limit(most: int = 1 << 62) -> ReadLimit:
        return read_limit(args.read_limit, (args.image, *devices), most)

    if args.manifest:
        manifest(args, m, limit)
    elif args.ls is not None:
        ls(args, m)
    elif args.cat is not None:
        cat(args, m, limit)
    elif args.stats:
        stats(args, m)
    elif args.dmesg:
        dmesg(args, m.machine)
    else:
        summary(args, m)


# ------------------------------------------------------------------------- views

def _print_json(value: Any) -> None:
    print(json.dumps(value))


def manifest(args: argparse.Namespace, m: Mounted, limit: Callable[[], ReadLimit]) -> None:
    """--manifest"""
    from kemu.report.manifest import dump_lines, ordered  # start-up
    from kemu.report.walk import WHOLE, walk  # start-up

    left = limit()
    entries = ordered(walk(m.path, cap=WHOLE, limit=left))
    if args.json:
        _print_json([json.loads(line) for line in dump_lines(entries)])
    else:
        for line in dump_lines(entries):
            print(line)
    if left.over:
        raise _too_much(left)


def read_limit(given: int, files: Sequence[str], most: int = 1 << 62) -> ReadLimit:
    """How much a view may read: what was ``given``, or what the files have on disk lets expect, and no more than ``most``."""
    from kemu.report.walk import ReadLimit  # start-up

    if given:
        return ReadLimit(given)
    limit = ReadLimit.for_image(sum(os.stat(path).st_blocks * 512 for path in files))
    return limit if limit.limit <= most else ReadLimit(most)


def _too_much(limit: ReadLimit) -> CommandError:
    from kemu.report.manifest import show as printable  # start-up

    return CommandError(f"{errno_text(27)}: {printable(limit.over)}: more than {limit.limit} bytes of files; the rest was not "
                        f"read: --read-limit SIZE raises that")


def _lookup(m: Mounted, name: str, follow: bool) -> Path:
    from kemu.linux.namei import LOOKUP_FOLLOW, filename_lookup, getname  # start-up
    from kemu.linux.path import Path  # start-up

    path = Path()
    err = filename_lookup(-100, getname(os.fsencode(name)), LOOKUP_FOLLOW if follow else 0, path, m.path)
    if err:
        raise CommandError(f"{errno_text(err)}: {_kernel_said(m, name)}")
    return path


def _kernel_said(m: Mounted, name: str) -> str:
    from kemu.rung.py.mount import last_message  # start-up

    said = last_message(m.machine, m.logged)
    return f"{name}: {said}" if said else name


_MODE = {"dir": "d", "symlink": "l", "char": "c", "block": "b", "fifo": "p", "socket": "s"}


def _mode_text(e: dict[str, Any]) -> str:
    mode = e["mode"] or 0
    bits = "".join("rwxrwxrwx"[i] if mode >> (8 - i) & 1 else "-" for i in range(9))
    for bit, at, set_, unset in ((0o4000, 2, "s", "S"), (0o2000, 5, "s", "S"), (0o1000, 8, "t", "T")):
        if mode & bit:
            bits = bits[:at] + (set_ if bits[at] == "x" else unset) + bits[at + 1:]
    return _MODE.get(e["type"], "-") + bits


def ls(args: argparse.Namespace, m: Mounted) -> None:
    """--ls"""
    from kemu.linux.path import path_put  # start-up
    from kemu.report.walk import list_one  # start-up

    path = _lookup(m, args.ls, False)
    entries, err = list_one(path, os.fsencode(args.ls))
    path_put(path)
    print_list(args, entries)
    if err:
        raise CommandError(f"{errno_text(err)}: {_kernel_said(m, args.ls)}")


def print_list(args: argparse.Namespace, entries: Sequence[dict[str, Any]]) -> None:
    """Entries as ``ls -l`` shows them, or as JSON."""
    from kemu.report.manifest import show as printable  # start-up

    if args.json:
        _print_json(entries)
    else:
        for e in entries:
            if e["type"] is None:
                print(f"{'?' * 10} {printable(e['path'])}: {e['error']}")
                continue
            size = "{}, {}".format(*e["rdev"]) if e["rdev"] else str(e["size"])
            target = f" -> {printable(e['target'])}" if e["target"] is not None else ""
            name = printable(e["path"]) + target + (f" ({e['error']})" if e["error"] else "")
            print(f"{_mode_text(e)} {e['nlink']:>3} {e['uid']:>5} {e['gid']:>5} {size:>10} {e['mtime'][0]}.{e['mtime'][1]:09d} "
                  f"{name}")


def cat(args: argparse.Namespace, m: Mounted, limit: Callable[[int], ReadLimit]) -> None:
    """--cat"""
    from kemu.linux.path import path_put  # start-up
    from kemu.report.walk import contents  # start-up

    path = _lookup(m, args.cat, True)
    out = bytearray()
    size = 0
    err = 0
    left = limit(JSON_LIMIT if args.json else 1 << 62)
    for piece in contents(path):
        if isinstance(piece, int):
            err = piece
            break
        if not left.take(len(piece), os.fsencode(args.cat)):
            break
        size += len(piece)
        if args.json:
            out += piece
        else:
            sys.stdout.buffer.write(piece)
    path_put(path)
    sys.stdout.flush()
    if err:
        raise CommandError(f"{errno_text(err)}: {_kernel_said(m, args.cat)}")
    if left.over:
        raise _too_much(left)
    if args.json:
        _print_json({"path": args.cat, "size": size, "text": bytes(out).decode("utf-8", "surrogateescape")})


def _statfs(m: Mounted) -> dict[str, Any]:
    from kemu.linux.statfs import kstatfs  # start-up

    buf = kstatfs()
    err = m.sb.s_op.statfs(m.path.dentry, buf)
    if err:
        raise CommandError(errno_text(err))
    return {"type": f"{buf.f_type:#x}", "block_size": buf.f_bsize, "blocks": buf.f_blocks, "inodes": buf.f_files - buf.f_ffree,
            "name_max": buf.f_namelen}


def stats(args: argparse.Namespace, m: Mounted) -> None:
    """--stats"""
    out = {"backend": m.backend.name, "device": m.sb.s_id, **_statfs(m), **m.machine.counters.as_dict()}
    if args.json:
        _print_json(out)
    else:
        width = max(map(len, out))
        for name, value in out.items():
            print(f"{name:<{width}}  {value}")


def dmesg(args: argparse.Namespace, machine: Machine) -> None:
    """--dmesg"""
    if args.json:
        _print_json(machine.log.lines())
    else:
        for line in machine.log.lines():
            print(line)
    sys.stdout.flush()


def summary(args: argparse.Namespace, m: Mounted) -> None:
    """Without a view: what was mounted."""
    image, backend = shown(args.image), m.backend.name
    info = {"image": image, "backend": backend, "device": m.sb.s_id, **_statfs(m)}
    if args.json:
        _print_json(info)
    else:
        print(f"{image}: mounted as {m.sb.s_id} ({backend}), {info['blocks']} blocks of {info['block_size']} bytes, "
              f"{info['inodes']} inodes")
