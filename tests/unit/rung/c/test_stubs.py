# SPDX-License-Identifier: GPL-2.0-only
"""What nobody stands for says its name."""
from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import pytest

from kemu.rung.c import stubs

TRAP = """
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
static jmp_buf back;
static char said[100];
__attribute__((visibility("hidden"), noreturn)) void kemu_trap(const char *fmt, ...) {
	va_list ap; va_start(ap, fmt); vsnprintf(said, sizeof(said), fmt, ap); va_end(ap); longjmp(back, 1);
}
extern void nobody(int); extern char nothing[];
const char *call(void) { if (!setjmp(back)) nobody(1); return said; }
char *data(void) { return nothing; }
"""


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc here")
def test_a_call_of_nobody_ends_with_its_name(tmp_path: Path) -> None:


    (tmp_path / "a.c").write_text(TRAP)
    stubs.run(["gcc", "-fPIC", "-c", "-o", "a.o", "a.c"], tmp_path)
    stubs.run(["gcc", "-shared", "-Wl,-z,undefs", "-o", "probe.so", "a.o"], tmp_path)
    names = stubs.missing(tmp_path / "probe.so")
    assert names == ["nobody", "nothing"]
    assert stubs.called(names, [tmp_path / "a.o"], tmp_path) == {"nobody"}
    (tmp_path / "stubs.c").write_text(stubs.source(["nobody"], ["nothing"]))
    stubs.run(["gcc", "-shared", "-fPIC", "-fno-builtin", "-w", "-o", "all.so", "a.c", "stubs.c"], tmp_path)
    lib = ctypes.CDLL(str(tmp_path / "all.so"))
    lib.call.restype = ctypes.c_char_p
    assert lib.call() == b"unemulated: nobody()"


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc here")
def test_what_the_linker_says_is_kept(tmp_path: Path) -> None:
    (tmp_path / "b.c").write_text("int x = ;")
    with pytest.raises(stubs.BuildError) as e:
        stubs.run(["gcc", "-c", "b.c"], tmp_path)
    assert "expected expression" in e.value.output
