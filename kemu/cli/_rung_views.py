# SPDX-License-Identifier: GPL-2.0-only
"""The views of a mounted image where it is not the emulated kernel that mounts it: ``--rung c`` and ``--rung linux``."""
from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kemu.cli import _series, views
from kemu.cli.common import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError, errno_text
from kemu.cli.linux import failures, say_of
from kemu.report.manifest import dump_lines
from kemu.samples import shown

if TYPE_CHECKING:
    from kemu.rung.c.kernel import Instance
    from kemu.rung.protocol import Answer, Image

# back ends that are in the kernel's own C, and what the rungs call them
IN_C = {"bdev": "disk", "fileio": "file"}


def run(args: argparse.Namespace, image: str | memoryview, devices: Sequence[str], options: str, config: Sequence[str]) -> int:
    """Mount, show, unmount; the exit code."""
    if args.backend not in IN_C:
        raise CommandError(f"--backend {args.backend}: a port without C; --rung {args.rung} has {', '.join(IN_C)}", EXIT_USAGE)
    if args.at >= 4096:
        raise CommandError(f"--at {args.at}: --rung {args.rung} places the image within a page, from 0 to 4095", EXIT_USAGE)
    if args.page_size != 4096:
        raise CommandError(f"--page-size {args.page_size}: --rung {args.rung} has pages of 4096 bytes", EXIT_USAGE)
    if args.read_limit and args.cat is None:
        raise CommandError(f"--read-limit: --rung {args.rung} has it with --cat only", EXIT_USAGE)
    if args.flavour != "plain" and args.rung != "c":
        raise CommandError(f"--flavour {args.flavour}: of --rung c, and this is --rung {args.rung}", EXIT_USAGE)
    data: Image = image if isinstance(image, str) else bytes(image)
    look = _in_c if args.rung == "c" else _in_linux
    return failures("", lambda: look(args, data, devices, options, config))


def _refused(error: int, log: Sequence[str], args: argparse.Namespace) -> CommandError:
    if args.dmesg:
        _print_log(args, log)
    said = next((line.strip() for line in reversed(log) if line.strip()), "")
    return CommandError(f"{errno_text(error)}: {said or 'the kernel logged nothing about it'}")


def _print_log(args: argparse.Namespace, log: Sequence[str]) -> None:
    lines = [line.removeprefix(" ") for line in log]
    print(json.dumps(lines) if args.json else "\n".join(lines))
    sys.stdout.flush()


def _died(title: str, report: str, code: int, args: argparse.Namespace) -> CommandError:
    lines = report.splitlines()
    print("\n".join(lines if args.verbose else lines[:24]), file=sys.stderr)
    return CommandError(title, code)


# ------------------------------------------------------------------------- the C rung

def _in_c(args: argparse.Namespace, image: Image, devices: Sequence[str], options: str, config: Sequence[str]) -> int:
    from kemu.rung.c.kernel import Kernel, MountRefused, Trap  # start-up

    patches, extra, slot = _series.c_of(_series.stack_of(args))
    with Kernel(args.flavour, os.environ.get("KEMU_TREE"), [*extra, *config], patches, slot, say=say_of(args)) as kernel:
        if args.manifest:
            return _answered(args, kernel.erofs(image, args.at, options, devices, IN_C[args.backend], cap=1 << 62,
                                                max_entries=1 << 30))
        try:
            with kernel.mounted(image, args.at, options, devices, IN_C[args.backend]) as k:
                code = _show(args, k, image, devices)
            return code
        except MountRefused as e:
            raise _refused(e.errno, e.log, args) from None
        except Trap as e:
            raise _died(e.title, e.report(), 255 if e.title.startswith("Kernel panic") else EXIT_FAILED, args) from None


def _show(args: argparse.Namespace, k: Instance, image: Image, devices: Sequence[str]) -> int:
    if args.ls is not None:
        listed, error = k.list_one(args.ls)
        views.print_list(args, listed)
        if error:
            raise CommandError(f"{errno_text(error)}: {args.ls}")
    elif args.cat is not None:
        return _cat(args, k)
    elif args.stats:
        _pairs(args, {"backend": args.backend, "rung": f"c ({args.flavour})", **_statfs(k), **k.counters()})
    elif args.dmesg:
        _print_log(args, [line.partition(">")[2] for line in k.log().splitlines()])
    else:
        _summary(args, _statfs(k))
    return EXIT_OK


def _statfs(k: Instance) -> dict[str, Any]:
    s = k.statfs()
    return {"type": f"{s['type']:#x}", "block_size": s["block_size"], "blocks": s["blocks"],
            "inodes": s["files"] - s["free_files"], "name_max": s["name_max"]}


def _cat(args: argparse.Namespace, k: Instance) -> int:
    pieces, size = [], 0
    for piece in k.contents(args.cat):
        if isinstance(piece, int):
            sys.stdout.flush()
            raise CommandError(f"{errno_text(piece)}: {args.cat}")
        if args.read_limit and size + len(piece) > args.read_limit:
            sys.stdout.flush()
            raise CommandError(f"{errno_text(errno.EFBIG)}: {args.cat}: more than {args.read_limit} bytes of files; the rest was "
                               f"not read: --read-limit SIZE raises that")
        size += len(piece)
        if args.json:
            pieces.append(piece)
        else:
            sys.stdout.buffer.write(piece)
    sys.stdout.flush()
    if args.json:
        print(json.dumps({"path": args.cat, "size": size, "text": b"".join(pieces).decode("utf-8", "surrogateescape")}))
    return EXIT_OK


def _pairs(args: argparse.Namespace, out: dict[str, Any]) -> None:
    width = max(map(len, out))
    print(json.dumps(out) if args.json else "\n".join(f"{name:<{width}}  {value}" for name, value in out.items()))


def _summary(args: argparse.Namespace, info: dict[str, Any]) -> None:
    image = shown(args.image)
    if args.json:
        print(json.dumps({"image": image, "backend": args.backend, "rung": args.rung, **info}))
    else:
        print(f"{image}: mounted ({args.backend}, rung {args.rung}), {info['blocks']} blocks of {info['block_size']} bytes, "
              f"{info['inodes']} inodes")


def _print_entries(args: argparse.Namespace, entries: Sequence[Any]) -> None:
    lines = dump_lines(list(entries))
    if args.json:
        print(json.dumps([json.loads(line) for line in lines]))
    else:
        for line in lines:
            print(line)


# ------------------------------------------------------------------------- the Linux rung

def _in_linux(args: argparse.Namespace, image: Image, devices: Sequence[str], options: str, config: Sequence[str]) -> int:
    from kemu.rung.uml.oracle import Oracle  # start-up

    if args.cat is not None or args.stats:
        raise CommandError("--rung linux shows --manifest, --ls, --dmesg and what was mounted; --rung c reads files, too",
                           EXIT_USAGE)
    patches, extra, slot = _series.c_of(_series.stack_of(args))
    with Oracle(tree=os.environ.get("KEMU_TREE"), config=[*extra, *config], patches=patches, slot=slot, say=say_of(args)) as o:
        answer = o.erofs(image, args.at, options, devices, IN_C[args.backend], facts=not args.manifest, cap=1 << 40)
    return _answered(args, answer)


def _answered(args: argparse.Namespace, answer: Answer) -> int:
    if answer.crash:
        code = {"hang": 124, "splat": EXIT_FAILED}.get(answer.crash, 255)
        raise _died(answer.message or answer.crash, answer.console, code, args)
    if answer.mount_error:
        raise _refused(getattr(errno, answer.mount_error, 0), answer.kmsg, args)
    if args.manifest:
        _print_entries(args, answer.entries)
    elif args.ls is not None:
        inside = args.ls.rstrip("/") + "/"
        here = [e for e in answer.entries if e["path"] == (args.ls.rstrip("/") or "/")]
        if not here:
            raise CommandError(f"{errno_text(errno.ENOENT)}: {args.ls}")
        if here[0]["type"] == "dir":
            below = [(e["path"][len(inside):], e) for e in answer.entries if e["path"].startswith(inside)]
            here = [e | {"path": name} for name, e in below if name and "/" not in name]
        views.print_list(args, [e | {"sha256": None} for e in here])
    elif args.dmesg:
        _print_log(args, answer.kmsg)
    else:
        _summary(args, _from_facts(answer.facts))
    return EXIT_OK


def _from_facts(facts: Sequence[str]) -> dict[str, Any]:
    words = dict(w.partition("=")[::2] for w in facts[0].split("\t")[1:])
    kind, block, blocks, files, free, name_max = words["statfs"].split(":")[:6]
    return {"type": f"{int(kind, 16):#x}", "block_size": int(block), "blocks": int(blocks), "inodes": int(files) - int(free),
            "name_max": int(name_max)}
