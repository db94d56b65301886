# SPDX-License-Identifier: GPL-2.0-only
"""``kemu api``: what the emulated kernel offers and how honest each symbol is."""
from __future__ import annotations

import argparse
import importlib
import json
import pkgutil

import kemu.linux
from kemu.cli.common import EXIT_OK, CommandError
from kemu.linux.port import honesty
from kemu.report import ports

HELP = "list the emulated kernel's symbols: dup (as Linux), custom (changed, and how), stub (does nothing)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu api``."""
    parser.add_argument("name", nargs="?", help="only symbols or modules that contain this")
    parser.add_argument("--honesty", choices=["dup", "custom", "stub"], help="only these")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def load() -> list[honesty.Symbol]:
    """Every tagged symbol of kemu.linux, sorted by module and name."""
    for info in pkgutil.walk_packages(kemu.linux.__path__, "kemu.linux."):
        importlib.import_module(info.name)
    return sorted(honesty.symbols.values(), key=lambda s: (s.module, s.name))


def run(args: argparse.Namespace) -> int:
    """``kemu api``; its exit code."""
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
