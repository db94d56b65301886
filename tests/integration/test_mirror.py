# SPDX-License-Identifier: GPL-2.0-only
"""Unit tests stand where what they test stands: tests/unit/linux/mm/test_filemap.py tests kemu/linux/mm/filemap.py."""
from __future__ import annotations

from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PORTS = ("erofs_memback", "initramfs")


def places(test: str) -> list[str]:
    """Where the file may be that ``test``, a path below tests/unit, is about: a module, one that others do not import
    (``_name``), or a package.
    """
    path = Path(test)
    folder = path.parent if path.parts[0] in PORTS else Path("kemu") / path.parent
    name = path.stem.removeprefix("test_")
    return [str(folder / f"{name}.py"), str(folder / f"_{name}.py"), str(folder / name / "__init__.py")]


def unit_tests() -> list[str]:
    unit = TOP / "tests/unit"
    return sorted(str(p.relative_to(unit)) for p in unit.rglob("test_*.py"))


@pytest.mark.parametrize(("test", "path"), [("linux/mm/test_filemap.py", "kemu/linux/mm/filemap.py"),
                                            ("machine/test_memory.py", "kemu/machine/memory.py"),
                                            ("erofs_memback/test_data.py", "erofs_memback/data.py"),
                                            ("test_start.py", "kemu/start.py"),
                                            ("cli/test_mount_options.py", "kemu/cli/_mount_options.py"),
                                            ("report/test_store.py", "kemu/report/store/__init__.py")])
def test_where_what_is_tested_stands(test: str, path: str) -> None:
    assert path in places(test) and (TOP / path).is_file()


def test_every_unit_test_is_of_one_file() -> None:
    assert len(unit_tests()) > 50
    assert not [t for t in unit_tests() if not any((TOP / p).is_file()
                                                   for p in places(t))], "these are integration tests: tests/integration"


def test_every_test_has_its_folder() -> None:
    """A test that is in none of them is run by nobody."""
    folders = ("unit", "integration", "property", "fidelity", "quality", "c", "uml", "sched")
    strays = [p for p in (TOP / "tests").rglob("test_*.py") if p.relative_to(TOP / "tests").parts[0] not in folders]
    assert not strays
    make = (TOP / "Makefile").read_text()
    assert not [f for f in folders if f"tests/{f}" not in make]
