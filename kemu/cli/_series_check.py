# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series check``: what the kernel's own tools say of C patches; as b4 asks, too."""
from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kemu.cli.common import EXIT_FAILED, EXIT_OK
from kemu.cli.linux import say_of, tree_of
from kemu.rung.uml import series as series_

if TYPE_CHECKING:
    from kemu.rung.uml.patches import Patch  # start-up
    from kemu.rung.uml.series import Finding, Series  # start-up
    from kemu.series.b4 import Mail  # start-up


def run(args: argparse.Namespace) -> int:
    """The command; its exit code."""
    from kemu.series import b4  # start-up
    from kemu.series.whole import MAIL, in_c_named  # start-up

    found = _of_mail(args) if args.name == MAIL else _found(args, in_c_named(args.name))
    if args.json:
        print(b4.as_json(found))
    else:
        for f in found:
            if not args.quiet or f.status != "success":
                print(f"{f.status:8} {f.tool:10} {f.patch + ': ' if f.patch else ''}{f.summary}")
    return EXIT_FAILED if any(f.status == "fail" for f in found) else EXIT_OK


def _found(args: argparse.Namespace, series: Series) -> list[Finding]:
    found = list(series_.check(series, tree_of(args)))
    if args.build and not any(f.status == "fail" for f in found):
        from kemu.series.static.check import built  # start-up
        from kemu.series.switches import switched_on  # start-up

        on = switched_on(series, tree_of(args), say=say_of(args))
        found += [series_.Finding("kconfig", "warning" if on.refused else "success", note) for note in on.notes()]
        found += built(replace(series, config=[*series.config, *on.lines]), tree_of(args), say_of(args), args.jobs)
    return found


def _of_mail(args: argparse.Namespace) -> list[Finding]:
    """A mail, as b4 gives it to a check: a patch stands on those before it, a cover letter for the whole."""
    from kemu.series import b4  # start-up
    from kemu.series.whole import MOST, from_mail  # start-up

    data = sys.stdin.buffer.read(MOST + 1)
    mail = b4.mail_of(data)
    if mail.of == 1 or not data.strip():
        return _found(args, from_mail(data))
    known = b4.tracked(Path.cwd())
    if mail.at == 0:
        if not known:
            if args.json:
                return []           # the patches come one by one
            return _found(args, from_mail(data))
        return b4.whole(_found(args, series_.Series("cover", Path("-"), patches=known)))
    series = from_mail(data)
    if len(series.patches) != 1 or mail.at == 1:
        return _found(args, series)
    return _behind(args, series, known[:mail.at - 1], mail)


def _behind(args: argparse.Namespace, series: Series, below: list[Patch], mail: Mail) -> list[Finding]:
    """Of a patch that is not the first one: on top of those before it, if they are known."""
    from kemu.series import b4  # start-up

    (patch,) = series.patches
    found = b4.of_patch(_found(args, replace(series, patches=[*below, patch])), patch)
    if below or not found or found[0].status != "fail":
        return found
    why = f"not tried: it is patch {mail.at} of {mail.of}, and those before it are not here"
    return [series_.Finding("apply", "warning", why, patch.name), *series_.checkpatch(series.patches, tree_of(args))]
