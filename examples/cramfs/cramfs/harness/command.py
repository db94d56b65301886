# SPDX-License-Identifier: GPL-2.0-only
"""``kemu cramfs``: a cramfs image mounted in the emulated kernel."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from kemu.cli.common import EXIT_FAILED, EXIT_OK, CommandError, errno_text
from kemu.cli.values import byte_offset, check_at, check_file, name_of_file, page_size, path_inside
from kemu.machine.splat import KernelPanic, Splat

HELP = "mount a cramfs image in the emulated kernel and look into it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=name_of_file, metavar="IMAGE", help="a cramfs image, as mkfs.cramfs makes it")
    parser.add_argument("--at", type=byte_offset, default=0, metavar="N", help="place the image N bytes behind a page boundary")
    parser.add_argument(
        "--page-size",
        type=page_size,
        default=4096,
        metavar="4096|16384|65536",
        help="PAGE_SIZE of the emulated kernel; it must be the block size of the image",
    )
    view = parser.add_mutually_exclusive_group()
    view.add_argument("--manifest", action="store_true", help="every inode, as JSON lines")
    view.add_argument("--ls", type=path_inside, metavar="PATH", help="list a directory, or one file")
    view.add_argument("--cat", type=path_inside, metavar="PATH", help="the contents of a file")
    view.add_argument("--dmesg", action="store_true", help="the kernel's log")
    parser.add_argument("--json", action="store_true", help="one JSON object or array instead of text")


def run(args: argparse.Namespace) -> int:
    check_file(args.image)
    try:
        return _run(args)
    except MemoryError as e:
        raise CommandError(f"{args.image}: the emulated machine has {e or 'no room'}") from None


def _run(args: argparse.Namespace) -> int:
    from cramfs.harness.mount import MountError, machine_for, mount_in, umount

    with machine_for(args.image, page_size=args.page_size) as machine:
        check_at(args.at, machine.mem.nr_pages * machine.mem.page_size)
        try:
            m = mount_in(machine, args.image, args.at)
            try:
                _show(args, m)
            finally:
                sys.stdout.flush()
            umount(m.mnt)
            m.disk.drop()
            return EXIT_OK
        except MountError as e:
            if args.dmesg:
                _dmesg(args, machine)
            raise CommandError(f"{errno_text(e.errno)}: {e.message or 'the kernel logged nothing'}") from None
        except Splat as e:
            if args.dmesg:
                _dmesg(args, machine)
            if args.verbose:
                print(e, file=sys.stderr)
            raise CommandError(e.title, 255 if isinstance(e, KernelPanic) else EXIT_FAILED) from None


def _show(args: argparse.Namespace, m: Any) -> None:
    if args.manifest:
        _manifest(args, m)
    elif args.ls is not None:
        _ls(args, m)
    elif args.cat is not None:
        _cat(args, m)
    elif args.dmesg:
        _dmesg(args, m.machine)
    else:
        _summary(args, m)


def _manifest(args: argparse.Namespace, m: Any) -> None:
    from kemu.report import manifest
    from kemu.report.walk import walk

    lines = list(manifest.dump_lines(walk(m.path)))
    print(f"[{', '.join(lines)}]" if args.json else "\n".join(lines))


def _lookup(m: Any, name: str, follow: bool) -> Any:
    from kemu.linux.namei import LOOKUP_FOLLOW, filename_lookup, getname
    from kemu.linux.path import Path

    path = Path()
    err = filename_lookup(-100, getname(os.fsencode(name)), LOOKUP_FOLLOW if follow else 0, path, m.path)
    if err:
        raise CommandError(f"{errno_text(err)}: {name}")
    return path


def _ls(args: argparse.Namespace, m: Any) -> None:
    from kemu.linux.path import path_put
    from kemu.report.manifest import show
    from kemu.report.walk import list_one

    path = _lookup(m, args.ls, False)
    entries, err = list_one(path, os.fsencode(args.ls))
    path_put(path)
    if args.json:
        print(json.dumps(entries))
    else:
        for e in entries:
            if e["type"] is None:
                print(f"{'?':<8} {show(e['path'])}: {e['error']}")
                continue
            size = "{}, {}".format(*e["rdev"]) if e["rdev"] else str(e["size"])
            target = f" -> {show(e['target'])}" if e["target"] is not None else ""
            print(f"{e['type']:<8} {e['mode']:04o} {e['uid']:>5} {e['gid']:>3} {size:>8} {show(e['path'])}{target}")
    if err:
        raise CommandError(f"{errno_text(err)}: {args.ls}")


def _cat(args: argparse.Namespace, m: Any) -> None:
    from kemu.linux.path import path_put
    from kemu.report.walk import contents

    path = _lookup(m, args.cat, True)
    out = b""
    err = 0
    for piece in contents(path):
        if isinstance(piece, int):
            err = piece
        elif args.json:
            out += piece
        else:
            sys.stdout.buffer.write(piece)
    path_put(path)
    sys.stdout.flush()
    if err:
        from cramfs.harness.mount import last_message

        raise CommandError(f"{errno_text(err)}: {args.cat}: {last_message()}")
    if args.json:
        print(json.dumps({"path": args.cat, "size": len(out), "text": out.decode("utf-8", "surrogateescape")}))


def _dmesg(args: argparse.Namespace, machine: Any) -> None:
    lines = machine.log.lines()
    print(json.dumps(lines) if args.json else "\n".join(lines))
    sys.stdout.flush()


def _summary(args: argparse.Namespace, m: Any) -> None:
    from kemu.linux.statfs import kstatfs

    buf = kstatfs()
    m.mnt.mnt_sb.s_op.statfs(m.path.dentry, buf)
    info = {
        "image": args.image,
        "device": m.mnt.mnt_sb.s_id,
        "type": f"{buf.f_type:#x}",
        "block_size": buf.f_bsize,
        "blocks": buf.f_blocks,
        "inodes": buf.f_files,
        "name_max": buf.f_namelen,
    }
    if args.json:
        print(json.dumps(info))
    else:
        print(f"{args.image}: mounted as {info['device']}, {buf.f_blocks} blocks of {buf.f_bsize} bytes, {buf.f_files} inodes")
