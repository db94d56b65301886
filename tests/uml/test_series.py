# SPDX-License-Identifier: GPL-2.0-only
"""Series: a good one, and one for each way to be bad. Builds are incremental, each some seconds."""
from __future__ import annotations

import difflib
import subprocess
import sys
from pathlib import Path

import pytest

from kemu.report import ktap
from kemu.rung.uml.build import Kernel
from kemu.rung.uml.series import Series, check, find_series, read_series
from kemu.rung.uml.seriestest import Step, run_steps
from kemu.rung.uml.tree import Tree

pytestmark = pytest.mark.linux
FILE = "fs/erofs/namei.c"


def patch(tree: Tree, old: str, new: str, number: int = 1, before: tuple[str, str] | None = None) -> str:
    """A mail that replaces ``old`` by ``new`` in namei.c (on top of another replacement)."""
    text = (tree.path / FILE).read_text()
    if before:
        text = text.replace(*before, 1)
    assert old in text
    diff = "".join(difflib.unified_diff(text.splitlines(True), text.replace(old, new, 1).splitlines(True), f"a/{FILE}",
                                        f"b/{FILE}"))
    return f"From: A <a@example.org>\nSubject: [PATCH {number}/2] erofs: change {number}\n\n---\n{diff}-- \n2\n"


def series(tmp_path: Path, *mails: str, kunit: str = "") -> Series:
    """A directory of patches; all of these tests share one copy of the tree."""
    folder = tmp_path / "pytest"
    folder.mkdir()
    (folder / "series.toml").write_text(f'title = "x"\nkunit = "{kunit}"\n')
    for n, mail in enumerate(mails, 1):
        (folder / f"{n:04}-x.patch").write_text(mail)
    return read_series(folder)


def last(steps: list[Step]) -> Step:
    """The step that failed: those before are well, those after were not done."""
    (bad,) = (i for i, s in enumerate(steps) if s.status == "not ok")
    assert all(s.status == "ok" for s in steps[:bad]) and all(s.status == "skip" for s in steps[bad + 1:])
    return steps[bad]


def test_the_first_customer(kernel: Kernel, tree: Tree) -> None:
    steps = list(run_steps(find_series("erofs-kunit"), tree, images=sorted((Path(__file__).parents[1] / "data").glob("*.erofs"))))
    assert [s.status for s in steps] == ["ok"] * len(steps), [s.details for s in steps]
    assert "(erofs, initramfs)" in steps[1].name
    assert [f.status for f in check(find_series("erofs-kunit"), tree)] == ["success", "success"]


ENTRY = "struct erofs_qstr {"


def test_a_patch_that_does_not_compile_shows_the_compilers_words(kernel: Kernel, tree: Tree, tmp_path: Path) -> None:
    step = last(list(run_steps(series(tmp_path, patch(tree, ENTRY, "int x = y;\n" + ENTRY)), tree)))
    assert (step.status, step.code) == ("not ok", 4)
    assert f"{FILE}:" in step.details and "error: ‘y’ undeclared" in step.details.replace("'", "‘", 1).replace("'", "’", 1)


def test_a_warning_is_a_failure_and_stays_one(kernel: Kernel, tree: Tree, tmp_path: Path) -> None:
    bad = series(tmp_path, patch(tree, ENTRY, "static void unused_function(void) {}\n" + ENTRY))
    for _ in range(2):
        step = last(list(run_steps(bad, tree)))
        assert (step.status, step.code) == ("not ok", 4) and "unused_function" in step.details


def test_modposts_warning_is_a_failure(kernel: Kernel, tree: Tree, tmp_path: Path) -> None:
    code = ("static noinline int __init gone(void) { return jiffies; }\nint kept(void);\nint kept(void) { return gone(); }\n")
    step = last(list(run_steps(series(tmp_path, patch(tree, ENTRY, code + ENTRY)), tree)))
    assert (step.status, step.code) == ("not ok", 4)
    assert "modpost" in step.details and "gone" in step.details


def test_bisectable_finds_the_patch_that_does_not_build_alone(kernel: Kernel, tree: Tree, tmp_path: Path) -> None:
    first = (ENTRY, "static int helper(void);\nint user(void);\nint user(void) { return helper(); }\n" + ENTRY)
    second = (first[1], "static int helper(void) { return 1; }\n" + first[1])
    both = series(tmp_path, patch(tree, *first), patch(tree, *second, number=2, before=first))
    step = last(list(run_steps(both, tree, bisectable=True)))
    assert step.status == "not ok" and step.name.startswith("builds at patch 1 of 2: [PATCH 1/2]") and "helper" in step.details
    assert list(run_steps(both, tree))[0].status == "ok", "without --bisectable only the whole is built"


def test_a_change_of_behaviour_is_seen_on_images(kernel: Kernel, tree: Tree, tmp_path: Path) -> None:
    image = Path(__file__).parents[1] / "data" / "demo.erofs"
    bad = series(tmp_path, patch(tree, "if (dentry->d_name.len > EROFS_NAME_LEN)", "if (dentry->d_name.len > 3)"))
    step = last(list(run_steps(bad, tree, images=[image])))
    assert (step.status, step.code) == ("not ok", 1) and "ENAMETOOLONG" in step.details


def test_a_patch_that_does_not_apply(tree: Tree, tmp_path: Path) -> None:
    bad = series(tmp_path, patch(tree, ENTRY, "x" + ENTRY).replace(" struct", " sTRUCT").replace("-struct", "-sTRUCT"))
    (finding,) = check(bad, tree)
    assert finding.status == "fail" and f"{FILE}:" in finding.summary
    step = last(list(run_steps(bad, tree)))
    assert step.status == "not ok" and "0001-x.patch" in step.details


def test_its_ktap_is_read_by_the_kernels_parser(kernel: Kernel, tree: Tree, tmp_path: Path) -> None:
    bad = series(tmp_path, patch(tree, ENTRY, "int x = y;\n" + ENTRY))
    done = subprocess.run([sys.executable, "-m", "kemu", "series", "test", bad.path, "--bisectable"], capture_output=True,
                          text=True)
    assert done.returncode == 4
    got = ktap.parse(done.stdout.splitlines(), tree.path)
    assert (got.failed, got.skipped >= 1, got.errors) == (1, True, 0), got.text
    done = subprocess.run([sys.executable, "-m", "kemu", "series", "test", "erofs-kunit"], capture_output=True, text=True)
    assert done.returncode == 0
    assert ktap.parse(done.stdout.splitlines(), tree.path).ok


SMALL = """\
// SPDX-License-Identifier: GPL-2.0-only
#include <linux/init.h>
#include <linux/initrd.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/printk.h>

static int __init small_initcall(void)
{
\ts64 ns = ktime_to_ns(ktime_get());

\tpr_info("%lld ms, an initrd of %lu bytes\\n", DIVISION, initrd_end - initrd_start);
\treturn 0;
}
late_initcall(small_initcall);
"""


def small(tree: Tree, tmp_path: Path, depends: str, division: str) -> Series:
    """A series that adds an initcall."""
    kconfig, makefile = ((tree.path / "init" / n).read_text() for n in ("Kconfig", "Makefile"))
    files = {"init/small.c": ("", SMALL.replace("DIVISION", division)),
             "init/Kconfig": (kconfig, kconfig + f'\nconfig SMALL\n\tbool "small"\n{depends}'),
             "init/Makefile": (makefile, makefile + "\nobj-$(CONFIG_SMALL) += small.o\n")}
    diff = ""
    for name, (old, new) in files.items():
        diff += f"diff --git a/{name} b/{name}\n" + ("" if old else "new file mode 100644\n")
        diff += "".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), f"a/{name}" if old else "/dev/null",
                                             f"b/{name}"))
    s = series(tmp_path, f"From: A <a@example.org>\nSubject: [PATCH] init: small\n\n---\n{diff}-- \n2\n")
    s.config = ["CONFIG_SMALL=y"]
    return s


@pytest.mark.slow
@pytest.mark.parametrize(("depends", "division", "without", "on_32"), [
    ("", "ns / 1000000",
     ["init/small.o: undefined reference to initrd_end (init/do_mounts_initrd.o) without CONFIG_BLK_DEV_INITRD, on which "
      "CONFIG_SMALL does not depend",
                          "init/small.o: undefined reference to initrd_start (init/do_mounts_initrd.o) without "
                          "CONFIG_BLK_DEV_INITRD, on which CONFIG_SMALL does not depend"],
     ["init/small.o: undefined reference to __divdi3 on 32 bits: a division of 64-bit numbers; see linux/math64.h"]),
    ("\tdepends on BLK_DEV_INITRD\n", "div_s64(ns, 1000000)", [], []),
])
def test_what_links_here_and_not_elsewhere(kernel: Kernel, tree: Tree, tmp_path: Path, depends: str, division: str,
                                           without: list[str],
                                           on_32: list[str]) -> None:
    s = small(tree, tmp_path, depends, division)
    builds, kunit, *links = run_steps(s, tree, configs=True)
    assert builds.status == kunit.status == "ok", builds.details + kunit.details
    assert [step.details.splitlines() for step in links] == [without, on_32]
    assert [step.status for step in links] == [("not ok" if lines else "ok") for lines in (without, on_32)]
