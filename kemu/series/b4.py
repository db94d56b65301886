# SPDX-License-Identifier: GPL-2.0-only
"""b4's protocol for checks: a mail comes in on standard input, a JSON array goes out.

b4 runs a check once for each patch of a series, with that mail alone, and once for the whole with the cover letter. What is
known of the series stands in the file that ``B4_TRACKING_FILE`` names; its patches are the commits of the branch
b4/review/CHANGE-ID in the git tree where the check is run. A status is one of pass, warn, fail: b4 takes any other for fail.
"""
from __future__ import annotations

import email
import email.header
import email.policy
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kemu.rung.uml.errors import ConfigError
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.series import Finding
from kemu.series.branch import from_branch

STATUSES = {"success": "pass", "warning": "warn", "fail": "fail"}
_ORDER = ("success", "warning", "fail")
_SHA = re.compile(r"[0-9a-fA-F]{7,64}")


@dataclass(frozen=True)
class Mail:
    """What the subject says: number ``at`` of ``of``; (1, 1) for a patch without numbers, ``at`` 0 for a cover letter."""

    at: int
    of: int


def mail_of(data: bytes) -> Mail:
    """The numbers of a mail."""
    text = re.sub(rb"\AFrom [^\n]*\n", b"", data)
    head = email.message_from_bytes(text, policy=email.policy.compat32).get("Subject", "")
    subject = " ".join(str(email.header.make_header(email.header.decode_header(head))).split())
    m = re.match(r"(?:\s*\[[^\]]*\])*?\s*\[[^\]]*?\b(\d+)/(\d+)\]", subject)
    return Mail(int(m[1]), int(m[2])) if m else Mail(1, 1)


def tracked(folder: Path) -> list[Patch]:
    """The patches of the series that b4 tracks, from the git tree of ``folder``; none if it says nothing of it."""
    where = os.environ.get("B4_TRACKING_FILE", "")
    if not where:
        return []
    try:
        told: Any = json.loads(Path(where).read_text())
        series = told["series"]
        change, first, base = (str(series.get(key) or "") for key in ("change-id", "first-patch-commit", "base-commit"))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as e:
        raise ConfigError(f"B4_TRACKING_FILE {where}: not b4's: {e}") from None
    since = f"{first}~1" if _SHA.fullmatch(first) else base
    if not _SHA.fullmatch(since.removesuffix("~1")) or not re.fullmatch(r"[\w][\w./+-]*", change):
        return []
    # the branch's last commit is b4's own, and empty
    found = from_branch(str(folder), since, f"b4/review/{change}").c
    return found.patches if found is not None else []


def of_patch(found: Iterable[Finding], patch: Patch) -> list[Finding]:
    """Those of one patch of a series."""
    return [f for f in found if f.patch in ("", patch.name)]


def whole(found: Sequence[Finding]) -> list[Finding]:
    """Of a series a line for each tool: the worst that it says, and how often."""
    out = []
    for tool in dict.fromkeys(f.tool for f in found):
        rows = [f for f in found if f.tool == tool]
        worst = max((f.status for f in rows), key=_ORDER.index)
        bad = [f for f in rows if f.status == worst]
        first = f"{bad[0].patch}: {bad[0].summary}" if bad[0].patch and worst != "success" else bad[0].summary
        out.append(Finding(tool, worst, first + (f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""),
                           details="\n".join(f"{f.status}: {f.patch + ': ' if f.patch else ''}{f.summary}" for f in rows)))
    return out


def as_json(found: Iterable[Finding]) -> str:
    """The array."""
    return json.dumps([{**f.as_json(), "status": STATUSES[f.status]} for f in found], indent=1)
