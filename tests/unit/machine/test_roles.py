# SPDX-License-Identifier: GPL-2.0-only
"""Each piece of code says what it is; what says nothing is a tool if it was installed, and a port otherwise."""
from __future__ import annotations

import json
import sys
from types import FrameType, ModuleType

import pytest

import kemu.check.where
import kemu.explore.run
import kemu.linux.mm.filemap
from kemu.linux.mm.filemap import filemap_read_folio
from kemu.linux.mm.readahead import read_pages
from kemu.machine.roles import Role, fillers, loggers, role_of
from tests.samples import TOP

import erofs_memback.harness.experiments
import erofs_memback.super
import initramfs.main
from erofs_memback.internal import _erofs_printk, erofs_err, erofs_info, erofs_warn


def frame_in(module: ModuleType | None, module_name: str = "", **values: object) -> FrameType:
    """A frame of code that runs with a module's globals."""
    names = dict(vars(module)) if module is not None else {"__name__": module_name, **values}
    names["__sys"] = sys
    exec("def made(): return __sys._getframe()", names)         # code that is equal is not the same code
    made = names["made"]
    assert callable(made)
    frame = made()
    assert isinstance(frame, FrameType)
    return frame


@pytest.mark.parametrize(("module", "role"), [
    (erofs_memback.super, Role.PORT), (initramfs.main, Role.PORT), (erofs_memback.harness.experiments, Role.HARNESS),
    (kemu.linux.mm.filemap, Role.API),
    (kemu.explore.run, Role.EXPLORER), (kemu.check.where, Role.TOOL), (pytest, Role.TOOL), (json, Role.TOOL),
    (sys.modules[__name__], Role.PORT)])
def test_what_a_module_is(module: ModuleType, role: Role) -> None:
    assert role_of(frame_in(module)) is role


def test_a_module_may_say_so_itself_and_a_wrong_word_is_an_error() -> None:
    assert role_of(frame_in(None, "somebodys_own")) is Role.PORT
    assert role_of(frame_in(None, "somebodys_own", __role__="harness")) is Role.HARNESS
    with pytest.raises(ValueError, match="nothing like it"):
        role_of(frame_in(None, "somebodys_own", __role__="nothing like it"))


def test_wrappers_of_printk_and_fillers_of_the_page_cache_say_so() -> None:
    assert {f.__code__ for f in (_erofs_printk, erofs_err, erofs_warn, erofs_info)} <= loggers
    assert {filemap_read_folio.__code__, read_pages.__code__} <= fillers


def test_no_module_says_it_in_another_way() -> None:
    assert [str(f) for p in ("kemu", "erofs_memback", "initramfs", "examples", "tests") for f in (TOP / p).rglob("*.py")
            if "__harness__ " in f.read_text() and f.name != "test_roles.py"] == []
