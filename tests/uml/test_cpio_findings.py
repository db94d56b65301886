# SPDX-License-Identifier: GPL-2.0-only
"""Findings about init/initramfs.c and lib/decompress*, and the known differences: Linux still does that, and so does the port."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kemu.rung.uml import Oracle
from kemu.rung.uml.build import Kernel
from tests.uml import cpio_findings as made

from initramfs.harness.differential import Answer, by_linux, by_port, disagreement, known

pytestmark = pytest.mark.linux
DATA = Path(__file__).resolve().parents[1] / "data"


@pytest.fixture(scope="module")
def linux(kernel: Kernel) -> Iterator[Oracle]:
    with Oracle(kernel=kernel, timeout=4) as o:
        yield o


def both(linux: Oracle, data: bytes) -> tuple[Answer, Answer]:
    return by_port(data), by_linux(linux, data)


def names(a: Answer) -> list[str]:
    return sorted(e["path"] for e in a.entries)


@pytest.mark.parametrize(("folder", "name"), [("linux-findings", n) for n in made.FINDINGS]
                         + [("known-differences", n) for n in made.DIFFERENCES])
def test_the_archives_are_what_is_made_here(folder: str, name: str) -> None:
    data = (DATA / folder / name).read_bytes()
    assert data == {**made.FINDINGS, **made.DIFFERENCES}[name]()
    assert len(data) < 8192


def test_a_hard_link_to_what_has_become_a_fifo_hangs(linux: Oracle) -> None:
    port, kernel = both(linux, made.hang_fifo())
    assert kernel.end == "hang"
    assert "every task waits" in port.end


def test_a_skipped_member_whose_header_was_collected_takes_the_rest_with_it(linux: Oracle) -> None:
    for answer in both(linux, made.skipped_after_collect()):
        assert answer.message == "junk at the end of compressed archive"
        assert names(answer) == ["/", "/a"]
    for answer in both(linux, made.skipped_after_collect(shift=300)):      # the same members, the header not across two buffers
        assert answer.message is None
        assert names(answer) == ["/", "/a", "/f"]


def test_a_member_skipped_first_needs_a_built_in_archive_before_it() -> None:
    from initramfs.harness.boots import boot_initrd

    assert by_port(made.skipped_first()).message is None
    assert boot_initrd(made.skipped_first(), builtin="none").unpack_error == "no cpio magic"


def test_a_file_that_the_archive_cuts_stays_open_and_nothing_is_said(linux: Oracle) -> None:
    for answer in both(linux, made.cut_in_a_file()):
        assert answer.message is None
        assert names(answer) == ["/", "/a"]
        assert answer.entries[-1]["size"] == 10


def test_a_bzip2_run_is_longer_than_int(linux: Oracle) -> None:
    port, kernel = both(linux, made.bzip2_run())
    assert "out-of-bounds" in port.end
    assert kernel.end


def test_an_empty_lzma_stream_warns(linux: Oracle) -> None:
    port, kernel = both(linux, made.lzma_empty())
    assert port.end.startswith("WARNING")
    assert kernel.end == "splat"
    assert "mm/vmalloc.c" in kernel.detail[0]


@pytest.mark.parametrize(("name", "why"), [("name-at-the-end.cpio", "strscpy"), ("lzma-window.lzma", "memory"),
                                           ("lz4-cut.lz4", "over-read")])
def test_a_known_difference(linux: Oracle, name: str, why: str) -> None:
    data = made.DIFFERENCES[name]()
    port, kernel = both(linux, data)
    assert disagreement(port, kernel)
    assert known(linux, data, port, kernel) == why


def test_a_gzip_trailer_that_is_not_all_there_is_counted(linux: Oracle) -> None:
    port, kernel = both(linux, made.gzip_trailer())
    assert kernel.end == "panic"
    assert "KASAN: out-of-bounds in unpack_to_rootfs" in port.end
