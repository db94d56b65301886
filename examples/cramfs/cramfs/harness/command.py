# SPDX-License-Identifier: GPL-2.0-only
"""``kemu cramfs``: a cramfs image mounted in the emulated kernel."""

from __future__ import annotations

import argparse

from kemu.cli import _series, views
from kemu.cli.values import check_file

HELP = "mount a cramfs image in the emulated kernel and look into it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    views.add_image_arguments(
        parser, "cramfs", "a cramfs image, as mkfs.cramfs makes it", pages="; it must be the block size of the image"
    )
    views.add_view_arguments(parser)
    _series.add_series_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from cramfs.harness.mount import CRAMFS  # start-up

    check_file(args.image)
    return views.run(args, CRAMFS, args.image, series=_series.python_of(_series.stack_of(args)))
