# SPDX-License-Identifier: GPL-2.0-only
"""Patches that a mailer has wrapped are whole again; those that are whole are left alone."""
from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from kemu.rung.uml.errors import PatchError
from kemu.rung.uml.patches import apply_patches, read_patch
from kemu.rung.uml.series import Series, check
from kemu.rung.uml.tree import Tree
from kemu.rung.uml.wrapped import is_broken, mended

OLD = """\
/* A comment. */
static int first(struct inode *inode, int n)
{
\tif (n)
\t\treturn -EINVAL;
\treturn 0;
}
"""
PATCH = """\
diff --git a/fs/erofs/super.c b/fs/erofs/super.c
index 1111111..2222222 100644
--- a/fs/erofs/super.c
+++ b/fs/erofs/super.c
@@ -1,7 +1,9 @@
 /* A comment. */
 static int first(struct inode *inode, int n)
 {
-\tif (n)
+\t/* a longer comment, which says why all of this is as it is, and goes on and on */
+\tif (n || erofs_inode_is_data_compressed(EROFS_I(inode)->datalayout) || n < 0)
 \t\treturn -EINVAL;
+\tpr_info("%d\\n", n);
 \treturn 0;
 }
diff --git a/fs/erofs/a_file_with_a_rather_long_name.c b/fs/erofs/a_file_with_a_rather_long_name.c
new file mode 100644
index 000000000000..3333333333333
--- /dev/null
+++ b/fs/erofs/a_file_with_a_rather_long_name.c
@@ -0,0 +1,3 @@
+int second(void);
+
+/* the last line of a patch is wrapped as well, when it is as long as this one here */
"""


def sent(text: str, width: int = 72, spaces: bool = True) -> str:
    """As a mailer sends it: no tabs, no line longer than this, and no blank behind an empty line's mark."""
    out = []
    for line in text.splitlines():
        line = line.expandtabs(8) if spaces else line
        parts = textwrap.wrap(line, width, break_long_words=False, drop_whitespace=True, replace_whitespace=False,
                              expand_tabs=False, break_on_hyphens=False) if len(line) > width else [line]
        out += [line[:len(line) - len(line.lstrip())] + parts[0].lstrip(), *parts[1:]] if parts else [line]
    return "\n".join(out) + "\n"


@pytest.mark.parametrize("spaces", [True, False])
@pytest.mark.parametrize("width", [60, 72, 78])
def test_it_is_whole_again(width: int, spaces: bool) -> None:
    text = sent(PATCH, width, spaces)
    assert is_broken(text.encode()) and not is_broken(PATCH.encode())
    made = mended(text.encode())
    assert made.data.decode() == PATCH and made.lines and made.tabs == spaces
    assert f"{len(made.lines)} lines were joined" in str(made) and str(made.lines[0]) in str(made)


def test_a_whole_patch_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "one.patch").write_text(PATCH)
    [patch] = read_patch(tmp_path / "one.patch")
    assert patch.mended == "" and patch.data.decode() == PATCH


def test_spaces_of_a_whole_patch_stay() -> None:
    text = PATCH.replace("\t", "        ")
    assert not is_broken(text.encode())


def test_it_applies_and_check_says_so(tmp_path: Path) -> None:
    place = tmp_path / "tree" / "fs" / "erofs"
    place.mkdir(parents=True)
    (place / "super.c").write_text(OLD)
    (tmp_path / "tree" / "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 13\nEXTRAVERSION =\n")
    tree = Tree(tmp_path / "tree")
    (tmp_path / "one.patch").write_text("Subject: [PATCH] one\n\nWords.\n---\n" + sent(PATCH))
    [patch] = read_patch(tmp_path / "one.patch")
    after = apply_patches(tree, [patch])
    assert b"\n\tpr_info(" in (after["fs/erofs/super.c"] or b"")
    said = [f for f in check(Series("one", tmp_path, [patch]), tree) if f.tool == "apply"]
    assert [f.status for f in said] == ["warning", "success"] and "wrapped by a mailer" in said[0].summary


def test_what_cannot_be_joined_is_refused(tmp_path: Path) -> None:
    lines = sent(PATCH).splitlines(True)
    (tmp_path / "one.patch").write_text("".join(lines[:-4]))
    [patch] = read_patch(tmp_path / "one.patch")
    with pytest.raises(PatchError, match="corrupt patch: hunk 1 of .* says .*; wrapped by a mailer: 3 lines"):
        apply_patches(Tree(tmp_path), [patch])
