# SPDX-License-Identifier: GPL-2.0-only
"""A case as a patch: the C file, and the line of the Makefile that builds it."""
from __future__ import annotations

import difflib


def patch(folder: str, name: str, text: str, makefile: str, title: str) -> str:
    """A mail of ``git format-patch``'s form that adds ``folder/name.c`` to a tree whose ``folder/Makefile`` is given."""
    old = makefile.splitlines(keepends=True)
    new = [*old, *(["\n"] if old and not old[-1].endswith("\n") else []), f"obj-$(CONFIG_KUNIT) += {name}.o\n"]
    made = "".join(difflib.unified_diff(old, new, f"a/{folder}/Makefile", f"b/{folder}/Makefile"))
    added = text.splitlines()
    file = f"{folder}/{name}.c"
    head = ["From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001", "From: kemu <kemu@example.org>",
            "Date: Thu, 1 Jan 2026 00:00:00 +0000",
            f"Subject: [PATCH] {folder.rpartition('/')[2]}: add a KUnit case: {_one_line(title)}", "",
            "A case for a finding; it is not meant to be applied for good.", "---"]
    return "\n".join([*head, f"diff --git a/{folder}/Makefile b/{folder}/Makefile", made.rstrip("\n"),
                      f"diff --git a/{file} b/{file}", "new file mode 100644", "--- /dev/null", f"+++ b/{file}",
                      f"@@ -0,0 +1,{len(added)} @@", *(f"+{line}" for line in added), "-- ", "2.39.5", ""])


def series_toml(name: str, title: str, base: str, config: list[str]) -> str:
    """What ``kemu linux kunit --series`` needs to know of it."""
    lines = ",".join(f'"{line}"' for line in config)
    text = _one_line(title).replace("\\", "\\\\").replace('"', '\\"')
    return (f'# SPDX-License-Identifier: GPL-2.0-only\ntitle = "{text}"\nbase = "{base}"\nconfig = [{lines}]\nkunit = "{name}"\n')


def _one_line(text: str, most: int = 60) -> str:
    text = " ".join("".join(c if " " <= c <= "~" else "?" for c in text).split())
    return text if len(text) <= most else text[:most - 3] + "..."
