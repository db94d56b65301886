# SPDX-License-Identifier: GPL-2.0-only
"""A back end of a series' own: the page of Python, and the page of C as the last patch."""
from __future__ import annotations

import random
from pathlib import Path

import pytest

from kemu.forge.pick import Pick
from kemu.rung.c.cover.case import Case
from kemu.rung.uml.errors import ConfigError
from kemu.rung.uml.patches import Patch, apply_patches
from kemu.rung.uml.series import read_series
from kemu.rung.uml.tree import Tree
from kemu.series.backend import Backend
from kemu.series.backend.glue import FUNCTION, glue_of, is_glue, without_glue
from kemu.series.backend.page import backend_of, read_backend
from kemu.series.backend.search import sequence
from kemu.series.review import replay
from kemu.series.review.trial import Trial

GLUE = f"long {FUNCTION}(const void *base, unsigned long size, const char *dir, const char *options)\n{{\n\treturn -22;\n}}\n"
PAGE = "from kemu.series.backend import Backend\nbackend = Backend(glue='b.c', memory=('linear',), at=range(0, 4096, 512))\n"
PATCH = ("diff --git a/fs/erofs/Makefile b/fs/erofs/Makefile\n--- a/fs/erofs/Makefile\n+++ b/fs/erofs/Makefile\n"
         "@@ -1 +1,2 @@\n obj-y := super.o\n+obj-y += memback.o\n")


class Listed:
    """Choices that are written down."""

    def __init__(self, values: list[int]):
        self.values = iter(values)

    def value(self, name: str, low: int, high: int) -> int:
        return low + next(self.values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b.c").write_text(GLUE)
    (tmp_path / "b.py").write_text(PAGE)
    return tmp_path


@pytest.fixture
def a_tree(tmp_path: Path) -> Tree:
    place = tmp_path / "tree" / "fs" / "erofs"
    place.mkdir(parents=True)
    (place / "Makefile").write_text("obj-y := super.o\n")
    return Tree(tmp_path / "tree")


def test_a_page(folder: Path) -> None:
    page = read_backend(folder / "b.py")
    rng = random.Random(1)
    places = {page.place(rng) for _ in range(200)}
    assert {memory for memory, _ in places} == {"linear"} and {at % 512 for _, at in places} == {0} and len(places) > 4
    assert page.takes("dax=never") and page.text() == GLUE


def test_a_c_file_alone_has_all_choices(folder: Path) -> None:
    page = read_backend(folder / "b.c")
    assert {page.place(random.Random(n))[0] for n in range(40)} == {"linear", "vmalloc", "slab"}


def test_options_that_it_means_to_answer_otherwise() -> None:
    page = Backend("b.c", without=("device=",))
    assert page.takes("noacl") and not page.takes("noacl,device=/dev/kemu1")


@pytest.mark.parametrize("text, said", [
    ("backend = 3\n", "there is no backend = Backend"),
    ("def\n", "invalid syntax"),
    ("import no_such_module\n", "ModuleNotFoundError"),
    ("from kemu.series.backend import Backend\nbackend = Backend('b.c', memory=('rom',))\n", "'rom': there is linear, vmalloc"),
    ("from kemu.series.backend import Backend\nbackend = Backend('b.c', at=range(4097))\n", "within a page"),
    ("from kemu.series.backend import Backend\nbackend = Backend('none.c')\n", "No such file"),
])
def test_a_page_that_is_none(folder: Path, text: str, said: str) -> None:
    (folder / "x.py").write_text(text)
    with pytest.raises(ConfigError, match=said) as e:
        read_backend(folder / "x.py")
    assert "\n" not in str(e.value) and "x.py" in str(e.value)


@pytest.mark.parametrize("name, said", [("b.txt", "a page of Python"), ("absent.py", "No such file"),
                                        ("absent.c", "No such file")])
def test_a_file_that_is_none(folder: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_backend(folder / name)


def test_the_glue_is_the_last_patch(folder: Path, a_tree: Tree) -> None:
    series = [Patch("1", "one", PATCH.encode())]
    glue = glue_of(read_backend(folder / "b.py"), series, a_tree)
    after = apply_patches(a_tree, [*series, glue])
    assert after["fs/erofs/Makefile"] == b"obj-y := super.o\nobj-y += memback.o\nobj-y += kemu_backend.o\n"
    text = (after["fs/erofs/kemu_backend.c"] or b"").decode()
    assert text.startswith("// SPDX") and GLUE in text
    assert is_glue(glue) and without_glue([*series, glue]) == series


def test_glue_that_defines_something_else(folder: Path, a_tree: Tree) -> None:
    (folder / "b.c").write_text("int x;\n")
    with pytest.raises(ConfigError, match="does not define long kemu_backend_mount"):
        glue_of(read_backend(folder / "b.py"), [], a_tree)


def test_a_folder_that_the_tree_has_not(folder: Path, a_tree: Tree) -> None:
    page = read_backend(folder / "b.py")
    page.folder = "fs/none"
    with pytest.raises(ConfigError, match="no fs/none/Makefile"):
        glue_of(page, [], a_tree)


def test_series_toml_names_it(folder: Path) -> None:
    (folder / "0001-one.patch").write_text("Subject: one\n\n" + PATCH)
    (folder / "series.toml").write_text('backend = "b.py"\n')
    series = read_series(folder)
    page = backend_of(series)
    assert page is not None and page.glue == "b.c"
    assert backend_of(series, str(folder / "b.c")).path.name == "b.c"          # type: ignore[union-attr]
    (folder / "series.toml").write_text("")
    assert backend_of(read_series(folder)) is None


def test_what_may_be_left_is_asked_of_a_block_device() -> None:
    trials = list(sequence(Case(b"x" * 100, memory="slab", at=17)))
    assert all(t.region for t in trials[::2]) and not any(t.region for t in trials[1::2])
    assert any(t.case.options for t in trials) and any(t.faulty for t in trials) and not trials[-2].faulty


def test_a_region_is_part_of_a_token() -> None:
    asked = replay.Asked((Patch("patch 1", "patch 1", b"x"),), (), (Trial(Case(b"abc", at=7), region=True), Trial(Case(b""))))
    again = replay.drawn(Pick(Listed(replay.offsets_of(asked))))
    assert [t.region for t in again.trials] == [True, False] and again == asked


def test_the_page_of_the_docs_is_the_example() -> None:
    top = Path(__file__).parents[4]
    text = (top / "docs/how-to/own-back-end.md").read_text()
    for name in ("backend.c", "backend.py"):
        assert f"file={name}\n{(top / 'examples/own-back-end' / name).read_text()}```" in text
