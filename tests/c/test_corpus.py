# SPDX-License-Identifier: GPL-2.0-only
"""Every image and archive of the corpus: the kernel's C in this process says what the booted kernel said."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kemu.report import manifest
from kemu.rung.c.kernel import Kernel
from kemu.rung.protocol import Answer
from tests.fidelity.corpus import SHARED, damaged_differences, differences, index
from tests.fidelity.test_corpus import STALE, damaged
from tests.fidelity.test_cpio_corpus import CPIO, LATE, LONGEST_PATH
from tests.fidelity.test_cpio_corpus import cases as archives

WHOLE = SHARED / "erofs"
needs_corpus = pytest.mark.skipif(not WHOLE.is_dir(), reason=f"no corpus at {SHARED}")


def looking(kernel: Kernel, **fixed: Any) -> Any:
    """As ``observe`` of the py rung."""
    def look(image: bytes | str | Path, **kw: Any) -> Answer:
        kw.pop("backend", None)
        return kernel.erofs(image, **fixed, **kw)
    return look


def tidy(text: Any) -> Any:
    """What a failure prints."""
    return text if isinstance(text, str) else "\n".join(text)


@needs_corpus
@pytest.mark.parametrize("at", [0, 1, 511, 2049, 4095])
def test_every_image_from_every_kind_of_place(kernel: Kernel, at: int) -> None:
    memory = ("linear", "slab", "vmalloc")[at % 3]
    assert not kernel.instance.dead
    boots = kernel.boots
    wrong = {name: text for name, case in index(WHOLE).items()
             for text in [differences(WHOLE, case, looking(kernel, at=at, memory=memory))] if text}
    assert wrong == {}
    assert kernel.boots == boots, "nothing has died"


@needs_corpus
def test_every_image_through_a_file(kernel: Kernel) -> None:
    wrong = {name: text for name, case in index(WHOLE).items() if not case["devices"]
             for text in [differences(WHOLE, case, looking(kernel, backend="file"))] if text}
    assert wrong == {}


@needs_corpus
def test_the_log_says_what_linux_said(kernel: Kernel) -> None:
    for name, case in index(WHOLE).items():
        a = kernel.erofs(WHOLE / f"{name}.erofs", devices=[WHOLE / d for d in case["devices"]], options=case["mount_options"])
        said = [line.replace("loop0", "kemu0") for line in case["kmsg"]]
        assert [line for line in said if line not in a.kmsg and "EXPERIMENTAL" not in line] == [], name


@needs_corpus
def test_every_damaged_image(kernel: Kernel) -> None:
    cases = damaged(SHARED / "corrupt.jsonl")
    assert cases
    wrong = {id_: lines for id_, case in cases.items() for lines in [damaged_differences(WHOLE, case, looking(kernel))] if lines}
    assert {id_: lines for id_, lines in wrong.items() if id_ not in STALE} == {}


@pytest.mark.skipif(not archives(), reason="the corpus is not here")
def test_every_archive(kernel: Kernel) -> None:
    wrong = {}
    for case in archives():
        a = kernel.cpio(CPIO / case["name"])
        if case["crash"]:
            if not a.crash:
                wrong[case["name"]] = f"Linux dies: {case['crash']}"
            continue
        want = manifest.load(CPIO / f"{case['name']}.jsonl")
        late = {e["path"] for e in want if e["mtime"] is None}
        tree = [e | {"mtime": None} if e["path"] in late and e["mtime"] and e["mtime"][0] >= LATE else e for e in a.entries
                if len(e["path"]) <= LONGEST_PATH]
        text = manifest.diff(want, tree, "Linux", "kemu")
        said = [f"Initramfs unpacking failed: {a.message}"] * bool(a.message)
        if text or said != case["kernel_message"] or a.crash:
            wrong[case["name"]] = f"{a.crash} {a.console} {said} {case['kernel_message']} {text}"
    assert wrong == {}


