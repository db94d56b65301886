# SPDX-License-Identifier: GPL-2.0-only
"""What public bug reports had, on Linux: bootconfig behind the archive, every time that an archive can name, trees as deep as
they like.
"""
from __future__ import annotations

import time
from pathlib import Path

import pytest

from kemu.rung.uml import Oracle, boot_initrd
from kemu.rung.uml.build import Kernel, Recipe, build
from kemu.rung.uml.tree import Tree
from tests.unit.initramfs.archive import archive, record

pytestmark = pytest.mark.linux
PUBLIC = Path(__file__).parent.parent / "data" / "public"
BOOTCONFIG = (PUBLIC / "bootconfig.cpio").read_bytes()


def with_bootconfig(data: bytes, text: bytes, pad: int = 0, csum: int | None = None, size: int | None = None) -> bytes:
    """As tools/bootconfig appends it: the text, padded, its size and sum, the magic; and what a boot loader adds to align the
    initrd.
    """
    text = text + b"\0"
    text += bytes(-(len(data) + len(text) + 8 + 12) % 4)
    total = sum(text) & 0xFFFFFFFF if csum is None else csum
    return (data + text + (len(text) if size is None else size).to_bytes(4,
                                                                         "little") + total.to_bytes(4, "little")
            + b"#BOOTCONFIG\n" + bytes(pad))


@pytest.mark.parametrize("at", [None, 0, 1, 2, 3, 17, 2048, 4095])
def test_bootconfig_is_cut_off_wherever_the_initrd_begins(kernel: Kernel, at: int | None) -> None:
    boot = boot_initrd(BOOTCONFIG, at=at, builtin="none", kernel=kernel)
    assert boot.unpack_error is None and len(boot.entries or []) == 7


SMALL = archive(record("/init", 0o100644, b"x"))


@pytest.mark.parametrize("pad", range(4))
@pytest.mark.parametrize("at", [None, 5])
def test_what_a_boot_loader_adds(kernel: Kernel, at: int | None, pad: int) -> None:
    boot = boot_initrd(with_bootconfig(SMALL, b"kernel.x = 1", pad), at=at, builtin="none", kernel=kernel)
    assert boot.unpack_error is None and len(boot.entries or []) == 2


def test_bootconfig_that_is_none_stays(kernel: Kernel) -> None:
    """A wrong sum, and a size that reaches back over the beginning of the initrd: it must not find the bench's own header there.
    """
    for data, said in ((with_bootconfig(SMALL, b"kernel.x = 1", csum=1), "bootconfig checksum failed"),
                       (with_bootconfig(SMALL, b"kernel.x = 1", size=len(SMALL) + 100), "is greater than initrd size"),
                       (with_bootconfig(b"", b"k", size=30000), "is greater than initrd size")):
        boot = boot_initrd(data, kernel=kernel)
        assert said in boot.console and boot.unpack_error is not None, boot.console


@pytest.mark.slow
def test_bootconfig_is_taken_where_the_kernel_has_it(tree: Tree, kernel: Kernel, flavour: object) -> None:
    """With CONFIG_BOOT_CONFIG it is the command line's; words about the host that it names reach nobody."""
    own = build(Recipe(tree, "fast", ("CONFIG_BOOT_CONFIG=y",), slot="bootconfig"))
    data = with_bootconfig(archive(record("/bin", 0o040755), record("/bin/x", 0o100755, b"#!/none\n")),
                           b"kernel { rdinit = /bin/x\n hostfs = /\n initrd = /etc/passwd\n ubd0 = /etc/passwd }")
    boot = boot_initrd(data, "bootconfig", kernel=own)
    assert "Load bootconfig" in boot.console and "Run /bin/x as init process" in boot.console and boot.unpack_error is None


def test_every_time_of_an_archive(kernel: Kernel) -> None:
    boot = boot_initrd(PUBLIC / "mtimes.cpio", builtin="none", kernel=kernel)
    with Oracle(kernel=kernel) as o:
        served = o.cpio((PUBLIC / "mtimes.cpio").read_bytes())
    for entries in (boot.entries or [], served.entries):
        times = {e["path"]: e["mtime"] for e in entries}
        assert times.pop("/") is None and times.pop("/big") == [0, 0] and len(times) > 8
        assert {path: m[0] for path, m in times.items()} == {path: int(path[2:]) for path in times}


def test_what_the_clock_has_set_is_null(kernel: Kernel) -> None:
    """The clock of the boot is far from everything that an archive says: now, the past, and the last second that there is."""
    now = int(time.time())
    records = (record("d", 0o040755, mtime=now), record("d/now", mtime=now), record("d/later", mtime=now + 3600),
               record("last", mtime=0xFFFFFFFF))
    want = {"/": None, "/d": [now, 0], "/d/now": [now, 0], "/d/later": [now + 3600, 0], "/last": [0xFFFFFFFF, 0]}
    # it ends inside a file, which never gets its time
    part = b"".join(records) + record("part", data=b"12345678", filesize=100, mtime=now)
    with Oracle(kernel=kernel) as o:
        for data, more in ((archive(*records), {}), (part, {"/part": None})):
            for entries in (boot_initrd(data, builtin="none", kernel=kernel).entries or [], o.cpio(data).entries):
                assert {e["path"]: e["mtime"] for e in entries} == want | more


@pytest.mark.parametrize("deep", [975, 2000])
def test_a_deep_archive(kernel: Kernel, deep: int) -> None:
    data = archive(*(record("/".join("d" * n), 0o040755) for n in range(1, deep + 1)))
    boot = boot_initrd(data, kernel=kernel, builtin="none")
    assert len(boot.entries or []) == deep + 1 and boot.no_tree is None and boot.unpack_error is None
    assert max(e["path"].count("/") for e in boot.entries or []) == deep
