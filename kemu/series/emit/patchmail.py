# SPDX-License-Identifier: GPL-2.0-only
"""Changed files as a patch, as git format-patch writes one; without a name under it: that is for whoever sends it."""
from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path


def diff(tree: Path, files: Mapping[str, str]) -> str:
    """The difference to the tree."""
    out = []
    for path, text in sorted(files.items()):
        there = tree / path
        old = there.read_text() if there.exists() else ""
        if old == text:
            continue
        out.append(f"diff --git a/{path} b/{path}\n")
        if not there.exists():
            out.append("new file mode 100644\n")
        out += difflib.unified_diff(old.splitlines(True), text.splitlines(True), f"a/{path}" if there.exists() else "/dev/null",
                                    f"b/{path}")
    return "".join(out)


def mail(subject: str, body: str, text: str) -> str:
    """The mail around a difference."""
    added = sum(line.startswith("+") and not line.startswith("+++ ") for line in text.splitlines())
    gone = sum(line.startswith("-") and not line.startswith("--- ") for line in text.splitlines())
    count = text.count("diff --git ")
    return (f"From {'0' * 40} Mon Sep 17 00:00:00 2001\nSubject: [PATCH] {subject}\n\n{body.rstrip()}\n---\n"
            f" {count} file{'s' if count != 1 else ''} changed, {added} insertions(+), {gone} deletions(-)\n\n{text}-- \nkemu\n")


def name_of(subject: str) -> str:
    """``0001-erofs-mount-from-memory.patch``"""
    words = "".join(c if c.isalnum() else "-" for c in subject.lower())
    return f"0001-{'-'.join(w for w in words.split('-') if w)[:52].rstrip('-')}.patch"


def written(folder: Path, subject: str, text: str) -> Path:
    """The patch in a folder, which is made if it is not there."""
    os.makedirs(folder, exist_ok=True)
    path = folder / name_of(subject)
    path.write_text(text)
    return path
