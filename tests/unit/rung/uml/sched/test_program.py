# SPDX-License-Identifier: GPL-2.0-only
"""Programs and plans as the kernel takes them: module/kemu_sched.h is compiled, and says the same sizes."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kemu.rung.uml.patches import MODULE
from kemu.rung.uml.sched import wire
from kemu.rung.uml.sched.program import Plan, Program, Step, Switch, close, loop, mount, open_, packed, punch, read, umount
from kemu.rung.uml.sched.wire import ANY, What


def c_says(tmp_path: Path) -> dict[str, int]:
    """Sizes and offsets as the compiler has them."""
    names = {"ops": "KEMU_AT_OPS", "strings": "KEMU_AT_STRINGS", "said": "KEMU_AT_SAID", "plans": "KEMU_AT_PLANS",
             "results": "KEMU_AT_RESULTS", "trace": "KEMU_AT_TRACE", "op": "sizeof(struct kemu_op)",
             "one_said": "sizeof(struct kemu_said)", "plan": "sizeof(struct kemu_plan)", "result": "sizeof(struct kemu_result)",
             "head": "sizeof(struct kemu_sched)", "counted": "KEMU_OP_COUNTED", "log": "KEMU_WRONG_LOG - 1", "any": "KEMU_ANY"}
    source = tmp_path / "sizes.c"
    source.write_text('#include <stdio.h>\n#include "kemu_sched.h"\nint main(void)\n{\n'
                      + "".join(f'printf("{k} %ld\\n", (long)({v}));\n' for k, v in names.items()) + "}\n")
    subprocess.run(["gcc", "-I", str(MODULE), "-o", str(tmp_path / "sizes"), str(source)], check=True)
    done = subprocess.run([str(tmp_path / "sizes")], capture_output=True, text=True, check=True)
    return {k: int(v) for k, v in (line.split() for line in done.stdout.splitlines())}


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
def test_the_header_says_the_same(tmp_path: Path) -> None:
    assert c_says(tmp_path) == {
        "ops": wire.AT_OPS, "strings": wire.AT_STRINGS, "said": wire.AT_SAID, "plans": wire.AT_PLANS, "results": wire.AT_RESULTS,
        "trace": wire.AT_TRACE, "op": wire.OP.size, "one_said": wire.SAID.size, "plan": wire.PLAN_BYTES,
        "result": wire.RESULT_BYTES, "head": wire.HEAD.size, "counted": What.COUNTED, "log": wire.LOG, "any": wire.ANY}


def test_every_step_of_the_header_has_a_name() -> None:
    named = re.findall(r"KEMU_OP_(\w+)", (MODULE / "kemu_sched.h").read_text().split("enum kemu_what")[1].split("};")[0])
    assert named == [w.name for w in What]


def test_steps_are_numbered_and_texts_are_shared() -> None:
    p = Program([mount("dev")], [[open_(0, "/x"), read(0, 0, 5), close(0)], [open_(1, "/x")]], [umount()])
    ops, strings = p.packed()
    fields = [wire.OP.unpack_from(ops, i * wire.OP.size) for i in range(len(ops) // wire.OP.size)]
    assert [f[1] for f in fields] == [0, 1, 1, 1, 2, wire.TASKS + 1]
    assert fields[1][3] == fields[4][3] and strings[fields[1][3]:].startswith(b"/x\0")
    assert strings[fields[0][5]:].startswith(b"erofs\0\0")


def test_what_a_step_may_say() -> None:
    ops, _ = Program([], [[Step(What.STAT, "/", may=(ANY, -2))]]).packed()
    assert wire.OP.unpack_from(ops)[9:] == (ANY, -2, 0, 0)


def test_steps_at_a_backing_file() -> None:
    assert str(punch(8, 4096, 100)) == "fallocate(file 8, 100 bytes at 4096, mode 3)"
    assert str(loop("/dev/loop7", 8)) == "'/dev/loop7' gets file 8"
    assert str(loop("/dev/loop7", clear=True)) == "'/dev/loop7' lets its file go"


@pytest.mark.parametrize("program", [Program([umount()] * 129), Program([], [[umount()]] * 7),
                                     Program([Step(What.STAT, "x" * 70000)])])
def test_what_does_not_fit_is_refused(program: Program) -> None:
    with pytest.raises(ValueError, match="at most"):
        program.packed()


def test_a_plan() -> None:
    data = packed(Plan([Switch(7, 2, True), Switch(1)], (2, 1, 3)))
    assert len(data) == wire.PLAN_BYTES
    assert wire.PLAN.unpack_from(data) == (2, 0x312, False)
    assert [wire.SWITCH.unpack_from(data, wire.PLAN.size + i * 8) for i in range(3)] == [(7, 2, 1), (1, 0, 0), (0, 0, 0)]
