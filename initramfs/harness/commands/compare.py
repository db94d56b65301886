# SPDX-License-Identifier: GPL-2.0-only
"""``kemu compare``: the designs of an initial root side by side, in counted bytes, pages and boot steps."""
from __future__ import annotations

import argparse
import json
import os

from kemu.cli import _series
from kemu.cli.common import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from kemu.cli.values import check_file, check_holes, name_of_file
from kemu.samples import shown

HELP = "initrds with the same content side by side: what each design copies, decompresses, allocates and keeps"
FORMATS = ("text", "json", "table")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu compare``."""
    parser.add_argument("initrd", type=name_of_file, metavar="INITRD", nargs="+",
                        help="archives boot upstream's way; EROFS images as initerofs-rfc, layered and initoverlayfs; both in a "
                             "row as layered")
    parser.add_argument("--design", metavar="NAME", action="append", default=[],
                        help="only this design (may be given several times); an archive also as layered, which then is what "
                             "upstream does")
    parser.add_argument("--format", choices=FORMATS, default="text",
                        help="everything as text or JSON, or a table of 75 columns for a cover letter")
    parser.add_argument("--no-short", action="store_true",
                        help="run every function itself, and none in its short form: the same figures, later")
    _series.add_series_arguments(parser)
    parser.add_argument("--json", action="store_true", help="--format json: one array, an object for each design and initrd")


def run(args: argparse.Namespace) -> int:
    """``kemu compare``; its exit code."""
    from initramfs.harness import compare, compare_views  # start-up
    from initramfs.harness.designs import DESIGNS  # start-up

    for name in args.design:
        if name not in DESIGNS:
            raise CommandError(f"--design {name}: one of {', '.join(DESIGNS)}", EXIT_USAGE)
    for path in args.initrd:
        check_file(path, "an initrd", null=True)
        check_holes(path, 0, option=False)
        if not os.stat(path).st_size:
            raise CommandError(f"{path}: EINVAL (Invalid argument): an empty initrd")
    series = _series.python_of(_series.stack_of(args))
    try:
        if args.no_short:
            results = compare.measure_all(args.initrd, tuple(args.design), (), series)
        else:
            from initramfs.harness.short import forms  # start-up

            results = compare.measure_all(args.initrd, tuple(args.design), forms(), series)
    except MemoryError as e:
        raise CommandError(f"ENOMEM (Cannot allocate memory): {e}") from None
    for r in results if (args.json or args.format != "table") else ():
        r["initrd"] = shown(r["initrd"])
    form = "json" if args.json else args.format
    if form == "json":
        print(json.dumps(results))
    else:
        print("\n".join(compare_views.table(results) if form == "table" else compare_views.text(results)))
    bad = [r for r in results if not compare_views.complete(r)]
    if bad:
        said = bad[0].get("error") or bad[0]["ended"]
        raise CommandError(f"{bad[0]['initrd']}: {bad[0]['design']}: {said}", EXIT_FAILED)
    return EXIT_OK
