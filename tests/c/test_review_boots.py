# SPDX-License-Identifier: GPL-2.0-only
"""A series that changes init/: what the kernel's tools say of it and what its boots show is one list, each with its rung."""
from __future__ import annotations

import difflib
import json

import pytest

from kemu.cli import main
from kemu.rung.uml.tree import Tree

PLANTED = """\
// SPDX-License-Identifier: GPL-2.0-only
/* Six faults, one of each kind. */
#include <linux/bug.h>
#include <linux/init.h>
#include <linux/initrd.h>
#include <linux/ktime.h>
#include <linux/printk.h>

int planted_late(void);

static noinline int __init planted_early(int n)
{
	return n + (initrd_end > initrd_start);
}

noinline int planted_late(void)
{
	return planted_early(1);
}

static int __init planted(void)
{
	s64 ns = ktime_get_ns();
	int unused;

	unused = planted_late();
	pr_info("planted: %lld\\n", ns / 1000003);
	WARN_ON(initrd_end - initrd_start > 1028 && *(u32 *)(initrd_start + 1024) == 0xe0f5e1e2);
	return 0;
}
fs_initcall(planted);
"""
SYMBOL = 'config PLANTED\n\tbool "Faults"\n\tdepends on PRINTK\n\thelp\n\t  One of each kind.\n\n'


def planted(tree: Tree) -> str:
    """The series as a diff against this tree."""
    kconfig, makefile = ((tree.path / "init" / name).read_text() for name in ("Kconfig", "Makefile"))
    new = {"init/Kconfig": (kconfig, kconfig.replace("config BOOT_CONFIG\n", f"{SYMBOL}config BOOT_CONFIG\n", 1)),
           "init/Makefile": (makefile, f"{makefile}obj-$(CONFIG_PLANTED) += planted.o\n"),
           "init/planted.c": ("", PLANTED)}
    out = []
    for path, (was, now) in new.items():
        lines = difflib.unified_diff(was.splitlines(True), now.splitlines(True), f"a/{path}" if was else "/dev/null", f"b/{path}")
        out.append(f"diff --git a/{path} b/{path}\n" + ("" if was else "new file mode 100644\n") + "".join(lines))
    return "".join(out)


@pytest.fixture(scope="module")
def listed(tree: Tree, library: object, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    patch, out = tmp_path_factory.mktemp("planted") / "planted.patch", ""
    patch.write_text(f"Subject: [PATCH] init: plant faults\n\nOne of each kind.\n---\n{planted(tree)}")
    with pytest.MonkeyPatch.context() as m:
        said: list[str] = []
        m.setattr("builtins.print", lambda *a, **k: said.append(" ".join(map(str, a))))
        assert main(["review", str(patch), "--seconds", "3", "--json", "-q"]) == 1
        out = "\n".join(said)
    found: list[dict[str, object]] = json.loads(out[out.index("{"):])["findings"]
    return found


def titles(listed: list[dict[str, object]], detector: str, rung: str) -> list[str]:
    return [str(f["title"]) for f in listed if f["detector"] == detector and f["rungs"] == [rung]]


@pytest.mark.parametrize("detector, words", [
    ("32-bit", "init/planted.o: undefined reference to __divdi3"),
    ("kconfig", "undefined reference to initrd_start (init/do_mounts_initrd.o) without CONFIG_BLK_DEV_INITRD"),
    ("modpost", "planted_late"), ("W=1", "set but not used")])
def test_what_tools_say_of_the_source(listed: list[dict[str, object]], detector: str, words: str) -> None:
    assert any(words in title for title in titles(listed, detector, "source")), [f["title"] for f in listed]


def test_a_boot_that_warns(listed: list[dict[str, object]], capfd: pytest.CaptureFixture[str]) -> None:
    [title] = titles(listed, "warning", "linux")
    assert title.startswith("WARNING: init/planted.c:")
    [token] = [str(f["token"]) for f in listed if f["title"] == title]
    assert main(["replay", token]) == 1
    assert title.split(" at ")[0] in capfd.readouterr().out
