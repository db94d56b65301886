# SPDX-License-Identifier: GPL-2.0-only
"""Tables as plain text: columns aligned, the last one wrapped to the width."""
from __future__ import annotations

import textwrap
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int = 130) -> list[str]:
    """Lines of a table. No column but the last is wider than 40 characters; the last takes the rest of ``width``."""
    columns = len(head)
    fixed = [min(40, max(len(head[i]), *(len(r[i]) for r in rows), 1)) for i in range(columns - 1)]
    rest = max(20, width - sum(fixed) - 2 * (columns - 1))
    out = ["  ".join([h.ljust(w) for h, w in zip(head, fixed)] + [head[-1]]).rstrip()]
    out.append("  ".join(["-" * w for w in fixed] + ["-" * min(rest, 40)]))
    for r in rows:
        cells = [textwrap.wrap(r[i], fixed[i]) or [""] for i in range(columns - 1)] + [textwrap.wrap(r[-1], rest) or [""]]
        for k in range(max(map(len, cells))):
            parts = [(c[k] if k < len(c) else "") for c in cells]
            out.append("  ".join([p.ljust(w) for p, w in zip(parts, fixed)] + [parts[-1]]).rstrip())
    return out
