# SPDX-License-Identifier: GPL-2.0-only
"""``kemu mount``: an EROFS image mounted in the emulated kernel, through one of its back ends."""
from __future__ import annotations

import argparse
import mmap
import os
import sys

from kemu.cli import _mount_options, _series, views
from kemu.cli.common import EXIT_USAGE, CommandError, errno_text
from kemu.cli.values import check_file, name_of_file, never_asked, parse_config
from kemu.samples import shown

HELP = "mount an EROFS image in the emulated kernel and look into it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu mount``."""
    views.add_image_arguments(parser, "erofs", "an EROFS image (sample:NAME: one that comes with kemu)")
    parser.add_argument("--device", action="append", type=name_of_file, default=[], metavar="FILE",
                        help="an extra device, in the order of the device table")
    parser.add_argument("-o", dest="options", action="append", default=[], metavar="OPTIONS",
                        help="mount options, as for mount(8); its own (loop, ro, noatime, x-...) "
                        "do not reach the file system, offset= and sizelimit= choose a part of IMAGE")
    parser.add_argument("--config", action="append", default=[], metavar="CONFIG_X=y",
                        help="a kernel option (y, n, a number or a text); may be given several times")
    views.add_view_arguments(parser)
    parser.add_argument("--rung", choices=("py", "c", "linux"), default="py",
                        help="where it is mounted: in the port on the emulated kernel, in the kernel's own C compiled into this "
                             "process, or in Linux under UML (default: py)")
    parser.add_argument("--flavour", choices=("plain", "asan", "ubsan"), default="plain",
                        help="of --rung c: plain, or with the sanitizer of addresses or of undefined behaviour")
    _series.add_series_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """``kemu mount``; its exit code."""
    from erofs_memback.harness.mount import EROFS  # start-up

    if args.device and not views.find_backend(EROFS, args.backend).devices:
        raise CommandError(f"--device: a mount from memory (--backend {args.backend}) has no extra devices", EXIT_USAGE)
    for path in (args.image, *args.device):
        check_file(path)
    config = parse_config(args.config)
    for name in never_asked(config) if config and args.rung == "py" and not args.quiet else ():
        print(f"kemu: mount: {name}: no code here asks for it, so it changes nothing", file=sys.stderr)
    if args.flavour != "plain" and args.rung == "py":
        raise CommandError(f"--flavour {args.flavour}: of --rung c, and this is --rung py", EXIT_USAGE)
    options = _mount_options.parse(args.options)
    if args.rung != "py":
        from kemu.cli import _rung_views  # start-up

        return _rung_views.run(args, _part(args.image, options), args.device, options.data, args.config)
    return views.run(args, EROFS, _part(args.image, options), devices=args.device, options=options.data, config=config,
                     series=_series.python_of(_series.stack_of(args)))


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
