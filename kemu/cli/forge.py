# SPDX-License-Identifier: GPL-2.0-only
"""``kemu forge``: an input made by the strategies, from a seed or a token."""
from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from kemu.cli.common import EXIT_OK, EXIT_USAGE, CommandError
from kemu.cli.values import byte_size, count, name_of_file, seed, write_new
from kemu.forge.cpio_choose import CpioArchive
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.plan import LAYOUTS
from kemu.forge.token import KINDS, Forged, Recipe, TokenError, parse

HELP = "make an EROFS image, a cpio archive or a layered initrd from a seed or a token"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See :mod:`kemu.cli`."""
    parser.add_argument("kind", choices=tuple(KINDS), metavar="erofs|cpio|initrd", help="what to make")
    parser.add_argument("-o", "--output", type=name_of_file, required=True, metavar="FILE",
                        help="where to write it (- for stdout); what exists is not overwritten")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    parser.add_argument("--seed", type=seed, metavar="N",
                        help="a number from 0 to 2**64-1 (default: a fresh one, told afterwards)")
    parser.add_argument("--token", metavar="T", help="make again what a token stands for")
    parser.add_argument("--block-size", type=byte_size(512, 65536), metavar="N",
                        help="erofs, initrd: 512 to 65536 (default: one of 512 to 4096)")
    parser.add_argument("--layout", choices=LAYOUTS, metavar="L",
                        help=f"erofs, initrd: one data layout for everything: {', '.join(LAYOUTS)}")
    parser.add_argument("--nodes", type=count(1, 1000), metavar="N", help="erofs, initrd: at most this many names")
    parser.add_argument("--like-mkfs", action="store_true", help="erofs, initrd: nothing that mkfs.erofs would never make")
    parser.add_argument("--flaws", action="store_true", help="erofs: some inodes that lookup must refuse")
    parser.add_argument("--damage", type=count(1, 1000), metavar="N", help="erofs, cpio: up to N mutations")
    parser.add_argument("--manifest", action="store_true", help="print the ground truth as a manifest (JSON lines)")
    parser.add_argument("--describe", action="store_true", help="print the layout as a table")


def _recipe(args: argparse.Namespace) -> Recipe:
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
    if (args.kind == "cpio" and set(shaping) - {"damage"}) or (args.kind == "initrd" and {"damage", "flaws"} & set(shaping)):
        wrong = next(o for o in shaping if o != "damage" or args.kind == "initrd")
        raise CommandError(f"--{wrong.replace('_', '-')} does not apply to {args.kind}", EXIT_USAGE)
    size = args.block_size or 0
    if size & (size - 1):
        raise CommandError(f"--block-size {args.block_size} is not a power of two", EXIT_USAGE)
    first = args.seed if args.seed is not None else int.from_bytes(os.urandom(5), "big")
    return Recipe(args.kind, first, size.bit_length() - 1 if size else 0, args.layout or "", args.damage or 0, args.nodes or 0,
                  args.flaws, False, args.like_mkfs)


def _truth(made: Forged) -> list[dict[str, Any]]:
    if isinstance(made, ErofsImage):
        return made.manifest()
    if isinstance(made, CpioArchive) and made.truth is not None:
        return made.truth
    raise CommandError("there is no ground truth for this input: the answer is an oracle's (kemu linux oracle)")


def run(args: argparse.Namespace) -> int:
    """See :mod:`kemu.cli`."""
    if args.output == "-" and (args.manifest or args.describe):
        raise CommandError(f"-o -: standard output is taken, and {'--manifest' if args.manifest else '--describe'} needs it too",
                           EXIT_USAGE)
    recipe = _recipe(args)
    made = recipe.forge()
    if args.output == "-":
        sys.stdout.buffer.write(made.data)
        sys.stdout.flush()
        return EXIT_OK
    truth = _truth(made) if args.manifest else []
    write_new(args.output, made.data, args.force)
    if args.manifest:
        for entry in truth:
            print(json.dumps(entry))
    elif args.describe:
        print(made.describe())
    elif not args.quiet:
        print(f"{args.output}: {len(made.data)} bytes, kemu forge {recipe.kind} --token {recipe.token()}")
    return EXIT_OK
