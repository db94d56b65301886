# SPDX-License-Identifier: GPL-2.0-only
"""Any row of segments with any trusted values: what is right boots as without them, what is changed is refused, or is an error
where it is read.
"""
from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kemu.forge import tree as t
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.erofs.writer import build
from tests.unit.initramfs.test_verify import B, dm_verity, flip, word

from initramfs.harness.boots import boot_initrd
from initramfs.harness.trials import INIT, cpio_archive

MARKS = "abcdef"


def image(mark: str, blocks: int, init: bool) -> bytes:
    entries: dict[bytes, t.Node] = {f"{mark}{i}".encode(): t.File(data=mark.encode() * (B * i + 17)) for i in range(blocks)}
    if init:
        entries[b"init"] = t.File(data=INIT, mode=0o755)
    return bytes(build(t.Dir(entries=entries), ImagePlan()).data)


def boot(data: bytes, at: int, cmdline: str) -> Any:
    return boot_initrd(data, design="layered", at=at, cmdline=cmdline)


def seen(result: Any) -> dict[str, Any]:
    return {e["path"]: (e["type"], e["mode"], e["sha256"], e["error"]) for e in result.tree}


@st.composite
def rows(draw: Any) -> tuple[list[bytes], list[str], list[bytes]]:
    """(segments as they lie in memory, words of the command line, segments without trees)"""
    parts, words, plain = [], [], []
    for i in range(draw(st.integers(1, 4))):
        salt = draw(st.sampled_from([b"", b"\x01", bytes(range(40))]))
        if draw(st.booleans()):
            data = image(MARKS[i], draw(st.integers(1, 4)), i == 0)
            alg = draw(st.sampled_from(["sha256", "tree", "verity"]))
        else:
            data = cpio_archive(MARKS[i], i == 0)
            data += bytes(-len(data) % 4)
            alg = draw(st.sampled_from(["sha256", "tree"]))
        words.append(word(alg, data, b"" if alg == "sha256" else salt))
        plain.append(data)
        parts.append(data + (dm_verity(data, salt)[1] if alg == "verity" else b""))
    return parts, words, plain


@settings(max_examples=60)
@given(rows(), st.sampled_from([0, 1, 2, 511, 4095]), st.data())
def test_rows_of_trusted_segments(row: tuple[list[bytes], list[str], list[bytes]], at: int, data: st.DataObject) -> None:
    parts, words, plain = row
    whole, line = b"".join(parts), "initrd_segments=" + ",".join(words)
    right = boot(whole, at, line)
    assert not right.splats and seen(right) == seen(boot(b"".join(plain), at, "")), right.log[-8:]

    where = data.draw(st.integers(0, len(whole) - 1))
    wrong = boot(flip(whole, where, 1 << data.draw(st.integers(0, 7))), at, line)
    assert not wrong.splats
    i = next(n for n in range(len(parts)) if sum(map(len, parts[:n + 1])) > where)
    if ":verity:" in words[i]:
        # wherever it is read it is an error, or it is not read at all
        if any(x.endswith(": refused") for x in wrong.log):
            assert wrong.ended == "panic"
        else:
            good = seen(right)
            assert all(v == good[p] or v[3] == "EIO" for p, v in seen(wrong).items()) and seen(wrong).keys() == good.keys()
    else:
        assert [x for x in wrong.log if x.startswith(f"initrd: segment {i} (")
                and x.endswith("mismatch: refused")], wrong.log[-6:]
        assert set(seen(wrong)) == {"/", "/dev", "/dev/console", "/root"}
