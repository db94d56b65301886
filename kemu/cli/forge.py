# SPDX-License-Identifier: GPL-2.0-only
"""``kemu forge``: an input made by the strategies, from a seed or a token."""
from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from kemu.cli.common import EXIT_CONFIG, EXIT_OK, EXIT_USAGE, CommandError
from kemu.forge.compressors import MissingCompressor
from kemu.forge.cpio_choose import CpioArchive
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.plan import LAYOUTS
from kemu.forge.token import KINDS, Forged, Recipe, TokenError, parse

HELP = "make an EROFS image, a cpio archive or a layered initrd from a seed or a token"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See :mod:`kemu.cli`."""
    parser.add_argument("kind", metavar="erofs|cpio|initrd", help="what to make")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (- for stdout)")
    parser.add_argument("--seed", metavar="N", help="a number from 0 to 2**64-1 (default: a fresh one, told afterwards)")
    parser.add_argument("--token", metavar="T", help="make again what a token stands for")
    parser.add_argument("--block-size", metavar="N", help="erofs, initrd: 512 to 65536 (default: one of 512 to 4096)")
    parser.add_argument("--layout", metavar="L", help=f"erofs, initrd: one data layout for everything: {', '.join(LAYOUTS)}")
    parser.add_argument("--nodes", metavar="N", help="erofs, initrd: at most this many names")
    parser.add_argument("--like-mkfs", action="store_true", help="erofs, initrd: nothing that mkfs.erofs would never make")
    parser.add_argument("--flaws", action="store_true", help="erofs: some inodes that lookup must refuse")
    parser.add_argument("--damage", metavar="N", help="erofs, cpio: up to N mutations")
    parser.add_argument("--manifest", action="store_true", help="print the ground truth as a manifest (JSON lines)")
    parser.add_argument("--describe", action="store_true", help="print the layout as a table")


def _number(text: str | None, what: str, low: int, high: int) -> int:
    if text is None:
        return 0
    try:
        n = int(text, 0)
    except ValueError:
        n = low - 1
    if not low <= n <= high:
        raise CommandError(f"{what} {text!r} is not a number from {low} to {high}", EXIT_USAGE)
    return n


def _recipe(args: argparse.Namespace) -> Recipe:
    if args.kind not in KINDS:
        raise CommandError(f"cannot make {args.kind!r}: erofs, cpio or initrd", EXIT_USAGE)
    shaping = [o for o in ("block_size", "layout", "nodes", "like_mkfs", "flaws", "damage") if getattr(args, o)]
    if args.token is not None:
        if args.seed is not None or shaping:
            other = "--seed" if args.seed is not None else "--" + shaping[0].replace("_", "-")
            raise CommandError(f"--token says everything, {other} cannot be given with it", EXIT_USAGE)
        try:
            recipe = parse(args.token)
        except TokenError as e:
            raise CommandError(str(e), EXIT_USAGE) from None
        if recipe.kind != args.kind:
            raise CommandError(f"token {args.token!r} makes {recipe.kind}, not {args.kind}", EXIT_USAGE)
        return recipe
    if args.kind == "cpio" and set(shaping) - {"damage"} or args.kind == "initrd" and {"damage", "flaws"} & set(shaping):
        wrong = next(o for o in shaping if o != "damage" or args.kind == "initrd")
        raise CommandError(f"--{wrong.replace('_', '-')} does not apply to {args.kind}", EXIT_USAGE)
    size = _number(args.block_size, "--block-size", 512, 65536)
    if size & (size - 1):
        raise CommandError(f"--block-size {args.block_size!r} is not a power of two", EXIT_USAGE)
    if args.layout and args.layout not in LAYOUTS:
        raise CommandError(f"no layout {args.layout!r}: {', '.join(LAYOUTS)}", EXIT_USAGE)
    seed = _number(args.seed, "--seed", 0, (1 << 64) - 1) if args.seed is not None else int.from_bytes(os.urandom(5), "big")
    return Recipe(args.kind, seed, size.bit_length() - 1 if size else 0, args.layout or "", _number(args.damage, "--damage", 1, 1000),
                  _number(args.nodes, "--nodes", 1, 1000), args.flaws, False, args.like_mkfs)


def _truth(made: Forged) -> list[dict[str, Any]]:
    if isinstance(made, ErofsImage):
        return made.manifest()
    if isinstance(made, CpioArchive) and made.truth is not None:
        return made.truth
    raise CommandError("there is no ground truth for this input: the answer is an oracle's (kemu linux oracle)")


def run(args: argparse.Namespace) -> int:
    """See :mod:`kemu.cli`."""
    if not args.output:
        raise CommandError("-o FILE is missing", EXIT_USAGE)
    recipe = _recipe(args)
    try:
        made = recipe.forge()
    except MissingCompressor as e:
        raise CommandError(str(e), EXIT_CONFIG) from None
    if args.output == "-":
        sys.stdout.buffer.write(made.data)
        sys.stdout.flush()
        return EXIT_OK
    with open(args.output, "wb") as f:
        f.write(made.data)
    if args.manifest:
        for entry in _truth(made):
            print(json.dumps(entry))
    elif args.describe:
        print(made.describe())
    elif not args.quiet:
        print(f"{args.output}: {len(made.data)} bytes, kemu forge {recipe.kind} --token {recipe.token()}")
    return EXIT_OK
