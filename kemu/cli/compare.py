# SPDX-License-Identifier: GPL-2.0-only
"""``kemu compare``: the designs of an initial root side by side, in counted bytes, pages and boot steps."""
from __future__ import annotations

import argparse
import json
import os

from kemu.cli.boot import check_file
from kemu.cli.common import EXIT_FAILED, EXIT_OK

HELP = "initrds with the same content side by side: what each design copies, decompresses, allocates and keeps"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("initrd", metavar="INITRD", nargs="+",
                        help="archives boot upstream's way; EROFS images as initerofs-rfc, layered and initoverlayfs")
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")


def run(args: argparse.Namespace) -> int:
    from initramfs import compare

    for path in args.initrd:
        check_file(path, "an initrd")
        os.stat(path)
    results = compare.measure_all(args.initrd)
    print(json.dumps(results) if args.json else "\n".join(compare.table(results)))
    return EXIT_OK if all(r.get("ended") == "init" for r in results) else EXIT_FAILED
