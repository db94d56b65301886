# SPDX-License-Identifier: GPL-2.0-only
"""The page of C as a patch on top of the series: it is built with it, and nowhere else, and it goes where the patches go, into
tokens too.
"""
from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from kemu.rung.uml.errors import ConfigError
from kemu.rung.uml.patches import Patch, apply_patches
from kemu.rung.uml.tree import Tree
from kemu.series.backend.page import Backend

FUNCTION = "kemu_backend_mount"
FILE = "kemu_backend.c"
PROTOTYPE = f"long {FUNCTION}(const void *base, unsigned long size, const char *dir, const char *options);"
SUBJECT = "kemu: how the series mounts from a region"


def glue_of(backend: Backend, patches: Sequence[Patch], tree: Tree) -> Patch:
    """The back end's C as the patch behind these. ``ConfigError``: it does not define the function; ``PatchError``."""
    text = backend.text()
    if not re.search(rf"\b{FUNCTION}\s*\(", text):
        raise ConfigError(f"{backend.path.parent / backend.glue}: it does not define {PROTOTYPE[:-1]}")
    makefile = f"{backend.folder}/Makefile"
    after = apply_patches(tree, patches)
    data = after.get(makefile)
    if data is None:
        try:
            data = (tree.path / makefile).read_bytes()
        except OSError:
            raise ConfigError(f"{backend.path}: folder = {backend.folder!r}: there is no {makefile} in the tree") from None
    before = data.decode("utf-8", "replace")
    whole = before if before.endswith("\n") else f"{before}\n"
    out = _diff(makefile, before, f"{whole}obj-y += {FILE[:-2]}.o\n")
    head = f"/* {SUBJECT} */\n{PROTOTYPE}\n#line 1 \"{backend.glue}\"\n"
    spdx = "" if text.startswith("// SPDX") else "// SPDX-License-Identifier: GPL-2.0-only\n"
    out += _diff(f"{backend.folder}/{FILE}", None, f"{spdx}{head}{text if text.endswith(chr(10)) else text + chr(10)}")
    return Patch(FILE, SUBJECT, out.encode())


def is_glue(patch: Patch) -> bool:
    """Whether it is one that :func:`glue_of` has made."""
    return any(path.rpartition("/")[2] == FILE for path in patch.touched())


def without_glue(patches: Sequence[Patch]) -> list[Patch]:
    """What the series itself is."""
    return [patch for patch in patches if not is_glue(patch)]


def _diff(path: str, before: str | None, after: str) -> str:
    names = (f"a/{path}", f"b/{path}") if before is not None else ("/dev/null", f"b/{path}")
    head = f"diff --git a/{path} b/{path}\n" + ("" if before is not None else "new file mode 100644\n")
    return head + "".join(difflib.unified_diff((before or "").splitlines(True), after.splitlines(True), *names))
