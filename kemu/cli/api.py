# SPDX-License-Identifier: GPL-2.0-only
"""``kemu api``: what the emulated kernel offers and how honest each symbol is."""
from __future__ import annotations

import argparse
import importlib
import json
import pkgutil

import kemu.linux
from kemu.cli.common import EXIT_OK, EXIT_USAGE, CommandError
from kemu.linux.port import honesty
from kemu.report import ports

HELP = "list the emulated kernel's symbols: dup (as Linux), custom (changed, and how), stub (does nothing)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu api``."""
    parser.add_argument("name", nargs="?", help="only symbols or modules that contain this")
    parser.add_argument("--rung", choices=["py", "c", "linux", "sched"], default="py",
                        help="py: the emulated kernel; c: what stands in for the rest of Linux where its own C runs; linux, "
                             "sched: what a booted kernel is besides Linux, and what is done so that its schedules are chosen")
    parser.add_argument("--honesty", choices=["dup", "custom", "stub", "linux", "trap"],
                        help="only these (linux, trap: of --rung c: the kernel's own file; nobody stands for it)")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def load() -> list[honesty.Symbol]:
    """Every tagged symbol of kemu.linux, sorted by module and name."""
    for info in pkgutil.walk_packages(kemu.linux.__path__, "kemu.linux."):
        importlib.import_module(info.name)
    return sorted(honesty.symbols.values(), key=lambda s: (s.module, s.name))


def run(args: argparse.Namespace) -> int:
    """``kemu api``; its exit code."""
    if args.rung == "c":
        return _c_rung(args)
    if args.rung != "py":
        return _booted(args)
    pins: dict[str, str] = json.loads(ports.pins_file("kemu.linux").read_text())
    rows = [s for s in load() if (not args.name or args.name in s.name or args.name in s.module)
            and (not args.honesty or s.honesty == args.honesty)]
    if args.json:
        print(json.dumps([{**s._asdict(), "pin": pins.get(f"{s.path}:{s.c_name}", "") if s.honesty == "dup" else None}
                          for s in rows]))
        return EXIT_OK
    if not rows:
        raise CommandError(f"no symbol or module contains {args.name!r}" if args.name else f"no symbol is {args.honesty}")
    last = ""
    loose = 0
    for s in rows:
        pinned = ""
        if s.honesty == "dup":
            h = pins.get(f"{s.path}:{s.c_name}", "")
            loose += not h
            pinned = "  no function" if h == ports.NO_FUNCTION else f"  pinned {h}" if h else "  not pinned"
        if s.module != last:
            print(("\n" if last else "") + s.module)
            last = s.module
        print(f"  {s.honesty:<7} {s.name:<36} {s.path}" + pinned + (f"  ({s.how})" if s.how else ""))
    counts = {h: sum(1 for s in rows if s.honesty == h) for h in ("dup", "custom", "stub")}
    print(f"\n{len(rows)} symbols: {counts['dup']} dup ({loose} not pinned), {counts['custom']} custom, {counts['stub']} stub")
    return EXIT_OK


def _booted(args: argparse.Namespace) -> int:
    """--rung linux, --rung sched"""
    from kemu.rung.uml import api  # start-up

    if args.honesty:
        raise CommandError(f"--honesty is for --rung py and c; --rung {args.rung} has files, lines and configuration", EXIT_USAGE)
    rows = [c for c in api.changes(args.rung) if not args.name or args.name in c.name]
    if args.json:
        print(json.dumps([c.as_dict() for c in rows]))
        return EXIT_OK
    if not rows:
        raise CommandError(f"nothing that is changed contains {args.name!r}")
    for c in rows:
        print(f"  {c.kind:<7} {c.name:<36} {c.how}".rstrip())
    counts = {k: sum(1 for c in rows if c.kind == k) for k in ("file", "lines", "config")}
    print(f"\nLinux with {counts['file']} files more, {counts['lines']} insertions, {counts['config']} settings of the flavour's")
    return EXIT_OK


def _c_rung(args: argparse.Namespace) -> int:
    """--rung c"""
    from kemu.rung.c import api  # start-up
    from kemu.rung.c.build import newest  # start-up

    library = newest()
    rows = [s for s in (*api.objects(), *api.runtime(), *api.traps(library.traps if library else ()))
            if (not args.name or args.name in s.name or args.name in s.place)
            and (not args.honesty or s.honesty == args.honesty)]
    if args.json:
        print(json.dumps([s.as_dict() for s in rows]))
        return EXIT_OK
    if not rows:
        raise CommandError(f"no symbol or file contains {args.name!r}" if args.name else f"no symbol is {args.honesty}")
    for s in rows:
        print(f"  {s.honesty:<7} {s.name:<40} {'' if s.honesty == 'linux' else s.place}".rstrip())
    counts = {h: sum(1 for s in rows if s.honesty == h) for h in ("linux", "custom", "stub", "trap")}
    unknown = " (none is built yet, so the traps are not known: kemu mount IMAGE --rung c builds one)"
    print(f"\n{counts['linux']} files and folders of Linux, {counts['custom']} custom, {counts['stub']} stub, "
          f"{counts['trap']} trap" + ("" if library else unknown))
    return EXIT_OK
