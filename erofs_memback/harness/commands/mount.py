# SPDX-License-Identifier: GPL-2.0-only
"""``kemu mount``: an EROFS image mounted in the emulated kernel, through one of its backends."""
from __future__ import annotations

import argparse
import json
import mmap
import os
import sys
from typing import Any

from kemu.cli import _mount_options
from kemu.cli.common import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError, errno_text
from kemu.cli.values import (
    byte_offset,
    byte_size,
    check_at,
    check_file,
    name_of_file,
    never_asked,
    page_size,
    parse_config,
    path_inside,
)
from kemu.machine.splat import KernelPanic, Splat
from kemu.samples import shown

HELP = "mount an EROFS image in the emulated kernel and look into it"
JSON_LIMIT = 32 << 20           # a file as one text takes many times its size
BACKENDS = ("bdev", "memback", "memback-rfc", "fileio", "dax")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=name_of_file, metavar="IMAGE", help="an EROFS image (sample:NAME: one that comes with kemu)")
    parser.add_argument("--backend", choices=BACKENDS, default="bdev",
                        help="what the image is read through: a RAM disk (bdev, the default), the memory itself (memback; memback-rfc: as posted), "
                             "a file of the emulated kernel (fileio), or a RAM disk with DAX (dax)")
    parser.add_argument("--at", type=byte_offset, default=0, metavar="N", help="place the image N bytes behind a page boundary")
    parser.add_argument("--page-size", type=page_size, default=4096, metavar="4096|16384|65536", help="PAGE_SIZE of the emulated kernel")
    parser.add_argument("--device", action="append", type=name_of_file, default=[], metavar="FILE", help="an extra device, in the order of the device table")
    parser.add_argument("-o", dest="options", action="append", default=[], metavar="OPTIONS", help="mount options, as for mount(8); its own (loop, ro, noatime, x-...) "
                        "do not reach the file system, offset= and sizelimit= choose a part of IMAGE")
    parser.add_argument("--config", action="append", default=[], metavar="CONFIG_X=y", help="a kernel option (y, n, a number or a text); may be given several times")
    parser.add_argument("--read-limit", type=byte_size(), default=0, metavar="SIZE", help="bytes of files that a view reads at most (default: 1G, or 16 for each byte that a "
                        "larger image has on disk; 32M for --json --cat)")
    view = parser.add_mutually_exclusive_group()
    view.add_argument("--manifest", action="store_true", help="every inode, as JSON lines")
    view.add_argument("--ls", type=path_inside, metavar="PATH", help="list a directory, or one file")
    view.add_argument("--cat", type=path_inside, metavar="PATH", help="the contents of a file")
    view.add_argument("--stats", action="store_true", help="statfs, and what the mount has cost")
    view.add_argument("--dmesg", action="store_true", help="the kernel's log")
    parser.add_argument("--json", action="store_true", help="one JSON object or array instead of text")


def run(args: argparse.Namespace) -> int:
    if args.device and args.backend.startswith("memback"):
        raise CommandError(f"--device: a mount from memory (--backend {args.backend}) has no extra devices", EXIT_USAGE)
    for path in (args.image, *args.device):
        check_file(path)
    config = parse_config(args.config)
    for name in never_asked(config) if config and not args.quiet else ():
        print(f"kemu: mount: {name}: no code here asks for it, so it changes nothing", file=sys.stderr)
    options = _mount_options.parse(args.options)
    try:
        return _run(args, config, options)
    except MemoryError as e:
        raise CommandError(f"{shown(args.image)}: the emulated machine has {e or 'no room'}") from None


def _part(path: str, options: _mount_options.MountOptions) -> str | memoryview:
    """The image, or the part of it that ``offset`` and ``sizelimit`` leave."""
    if not options.offset and options.size is None:
        return path
    with open(path, "rb") as f:
        size = os.fstat(f.fileno()).st_size
        if options.offset >= size:
            raise CommandError(f"-o offset={options.offset}: {errno_text(22)}: {shown(path)} ends at {size}")
        whole = memoryview(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ))
    return whole[options.offset:size if options.size is None else options.offset + options.size]


def _run(args: argparse.Namespace, config: dict[str, Any], options: _mount_options.MountOptions) -> int:
    from erofs_memback.harness.mount import MountError, machine_for, mount_in

    image = _part(args.image, options)
    with machine_for(image, args.device, backend=args.backend, page_size=args.page_size, config=config) as machine:
        check_at(args.at, machine.mem.nr_pages * machine.mem.page_size)
        try:
            m = mount_in(machine, image, backend=args.backend, at=args.at, devices=args.device, options=options.data)
            try:
                code = _show(args, m)
            finally:
                sys.stdout.flush()
            m.umount()
            return code
        except MountError as e:
            if args.dmesg:
                _dmesg(args, machine)
            raise CommandError(f"{errno_text(e.errno)}: {e.message or 'the kernel logged nothing about it'}") from None
        except Splat as e:
            if args.dmesg:
                _dmesg(args, machine)
            if args.verbose:
                print(e, file=sys.stderr)
            raise CommandError(e.title, 255 if isinstance(e, KernelPanic) else EXIT_FAILED) from None


def _show(args: argparse.Namespace, m: Any) -> int:
    if args.manifest:
        return _manifest(args, m)
    if args.ls is not None:
        return _ls(args, m)
    if args.cat is not None:
        return _cat(args, m)
    if args.stats:
        return _stats(args, m)
    if args.dmesg:
        return _dmesg(args, m.machine)
    return _summary(args, m)


def _print_json(value: Any) -> None:
    print(json.dumps(value))


def _manifest(args: argparse.Namespace, m: Any) -> int:
    from kemu.report import manifest
    from kemu.report.walk import WHOLE, walk

    limit = _read_limit(args)
    entries = manifest.ordered(walk(m.path, cap=WHOLE, limit=limit))
    if args.json:
        _print_json([json.loads(line) for line in manifest.dump_lines(entries)])
    else:
        for line in manifest.dump_lines(entries):
            print(line)
    if limit.over:
        raise _too_much(limit)
    return EXIT_OK


def _read_limit(args: argparse.Namespace, most: int = 1 << 62) -> Any:
    from kemu.report.walk import ReadLimit

    if args.read_limit:
        return ReadLimit(args.read_limit)
    limit = ReadLimit.for_image(sum(os.stat(path).st_blocks * 512 for path in (args.image, *args.device)))
    return limit if limit.limit <= most else ReadLimit(most)


def _too_much(limit: Any) -> CommandError:
    from kemu.report import manifest

    return CommandError(f"{errno_text(27)}: {manifest.show(limit.over)}: more than {limit.limit} bytes of files; the rest was not read: --read-limit SIZE raises that")


def _lookup(m: Any, name: str, follow: bool) -> Any:
    from kemu.linux.namei import LOOKUP_FOLLOW, getname
    from kemu.linux.path import Path
    from kemu.linux.vfs.walk import filename_lookup

    path = Path()
    err = filename_lookup(-100, getname(os.fsencode(name)), LOOKUP_FOLLOW if follow else 0, path, m.path)
    if err:
        raise CommandError(f"{errno_text(err)}: {_kernel_said(m, name)}")
    return path


def _kernel_said(m: Any, name: str) -> str:
    from erofs_memback.harness.mount import last_message

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


def _ls(args: argparse.Namespace, m: Any) -> int:
    from kemu.linux.path import path_put
    from kemu.report.manifest import show
    from kemu.report.walk import list_one

    path = _lookup(m, args.ls, False)
    entries, err = list_one(path, os.fsencode(args.ls))
    path_put(path)
    if args.json:
        _print_json(entries)
    else:
        for e in entries:
            if e["type"] is None:
                print(f"{'?' * 10} {show(e['path'])}: {e['error']}")
                continue
            size = "{}, {}".format(*e["rdev"]) if e["rdev"] else str(e["size"])
            name = show(e["path"]) + (f" -> {show(e['target'])}" if e["target"] is not None else "") + (f" ({e['error']})" if e["error"] else "")
            print(f"{_mode_text(e)} {e['nlink']:>3} {e['uid']:>5} {e['gid']:>5} {size:>10} {e['mtime'][0]}.{e['mtime'][1]:09d} {name}")
    if err:
        raise CommandError(f"{errno_text(err)}: {_kernel_said(m, args.ls)}")
    return EXIT_OK


def _cat(args: argparse.Namespace, m: Any) -> int:
    from kemu.linux.path import path_put
    from kemu.report.walk import contents

    path = _lookup(m, args.cat, True)
    out = bytearray()
    size = 0
    err = 0
    limit = _read_limit(args, JSON_LIMIT if args.json else 1 << 62)
    for piece in contents(path):
        if isinstance(piece, int):
            err = piece
            break
        if not limit.take(len(piece), os.fsencode(args.cat)):
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
    if limit.over:
        raise _too_much(limit)
    if args.json:
        _print_json({"path": args.cat, "size": size, "text": bytes(out).decode("utf-8", "surrogateescape")})
    return EXIT_OK


def _statfs(m: Any) -> dict[str, Any]:
    from kemu.linux.statfs import kstatfs

    buf = kstatfs()
    err = m.sb.s_op.statfs(m.path.dentry, buf)
    if err:
        raise CommandError(errno_text(err))
    return {"type": f"{buf.f_type:#x}", "block_size": buf.f_bsize, "blocks": buf.f_blocks, "inodes": buf.f_files - buf.f_ffree,
            "name_max": buf.f_namelen}


def _stats(args: argparse.Namespace, m: Any) -> int:
    stats = {"backend": m.backend, "device": m.sb.s_id, **_statfs(m), **m.machine.counters.as_dict()}
    if args.json:
        _print_json(stats)
    else:
        width = max(map(len, stats))
        for name, value in stats.items():
            print(f"{name:<{width}}  {value}")
    return EXIT_OK


def _dmesg(args: argparse.Namespace, machine: Any) -> int:
    if args.json:
        _print_json(machine.log.lines())
    else:
        for line in machine.log.lines():
            print(line)
    sys.stdout.flush()
    return EXIT_OK


def _summary(args: argparse.Namespace, m: Any) -> int:
    info = {"image": shown(args.image), "backend": m.backend, "device": m.sb.s_id, **_statfs(m)}
    if args.json:
        _print_json(info)
    else:
        print(f"{shown(args.image)}: mounted as {m.sb.s_id} ({m.backend}), {info['blocks']} blocks of {info['block_size']} bytes, {info['inodes']} inodes")
    return EXIT_OK
