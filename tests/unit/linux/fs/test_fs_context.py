# SPDX-License-Identifier: GPL-2.0-only
"""Configuring a mount: options as one string, flags, the source, messages, and the life of a context."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL, EIO, ENOPARAM
from kemu.linux.fs import SB_DIRSYNC, SB_LAZYTIME, SB_MANDLOCK, SB_RDONLY, SB_SYNCHRONOUS, FileSystemType, module_refcount
from kemu.linux.fs_context import (
    FsContext,
    errorf,
    errorfc,
    errorfcp,
    fc_log,
    fs_context_for_mount,
    fs_context_operations,
    generic_parse_monolithic,
    infofc,
    invalf,
    invalfc,
    parse_monolithic_mount_data,
    put_fs_context,
    vfs_dup_fs_context,
    vfs_parse_fs_string,
    warnfc,
)
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.slab import kfree, kmalloc
from kemu.linux.string import mem_read, mem_write
from kemu.machine.machine import Machine
from tests.unit.linux.block_files import Planned
from tests.unit.linux.vfs_files import balanced, name_of


class Recorder:
    """A file system type that writes down which options it is given."""

    def __init__(self, answers=None, **ops):
        self.seen = []
        self.freed = 0
        self.answers = answers or {}
        self.ops = fs_context_operations(parse_param=self.parse_param, free=self.free, **ops)
        self.type = FileSystemType(name="recorder", init_fs_context=self.init_fs_context)

    def init_fs_context(self, fc):
        fc.ops = self.ops
        return self.answers.get("init", 0)

    def parse_param(self, fc, param):
        if param.key in ("source", "unknown"):
            return -ENOPARAM
        self.seen.append((param.key, param.string))
        return self.answers.get(param.key, 0)

    def free(self, fc):
        self.freed += 1


@pytest.fixture
def fs():
    return Recorder()


@pytest.fixture
def fc(machine, fs):
    fc = fs_context_for_mount(fs.type, 0)
    yield fc
    put_fs_context(fc)


@pytest.mark.parametrize("data,seen", [
    (None, []), ("", []), (",", []), (",,a,,", [("a", None)]),
    ("a", [("a", None)]), ("a=1", [("a", "1")]), ("a=", [("a", "")]), ("a=b=c", [("a", "b=c")]),
    ("a,b=2,c", [("a", None), ("b", "2"), ("c", None)]),
    ("=x", []), ("a,=x,b", [("a", None), ("b", None)]),
    (" a = b ", [(" a ", " b ")]),
    ("x=\udcff", [("x", "\udcff")]),
])
def test_options_in_one_string(fc, fs, data, seen):
    assert parse_monolithic_mount_data(fc, data) == 0 and fs.seen == seen


@given(st.lists(st.tuples(st.text("abc ", min_size=1, max_size=4), st.none() | st.text("xyz=/ ", max_size=6)), max_size=6))
def test_what_is_joined_comes_apart(options):
    fs = Recorder()
    with Machine():
        fc = fs_context_for_mount(fs.type, 0)
        assert generic_parse_monolithic(fc, ",".join(k if v is None else f"{k}={v}" for k, v in options)) == 0
        assert fs.seen == options
        put_fs_context(fc)


def test_options_in_memory_are_cut_up_there(fc, fs):
    text = b"a,b=2,,c\0"
    addr = kmalloc(len(text), GFP_KERNEL)
    mem_write(addr, text)
    assert generic_parse_monolithic(fc, addr) == 0
    assert fs.seen == [("a", None), ("b", "2"), ("c", None)]
    assert mem_read(addr, len(text)) == b"a\0b\0" + b"2\0\0c\0"
    kfree(addr)


def test_the_first_bad_option_ends_it(machine):
    fs = Recorder({"b": -EIO})
    fc = fs_context_for_mount(fs.type, 0)
    assert name_of(parse_monolithic_mount_data(fc, "a,b=1,c")) == "EIO"
    assert fs.seen == [("a", None), ("b", "1")]
    put_fs_context(fc)


def test_a_file_system_with_a_parser_of_its_own(machine):
    got = []
    fs = Recorder(parse_monolithic=lambda fc, data: got.append(data) or -EINVAL)
    fc = fs_context_for_mount(fs.type, 0)
    assert name_of(parse_monolithic_mount_data(fc, "a,b")) == "EINVAL" and got == ["a,b"] and not fs.seen
    put_fs_context(fc)


@pytest.mark.parametrize("start,option,flags,mask", [
    (0, "ro", SB_RDONLY, SB_RDONLY), (SB_RDONLY, "rw", 0, SB_RDONLY),
    (0, "sync", SB_SYNCHRONOUS, SB_SYNCHRONOUS), (SB_SYNCHRONOUS, "async", 0, SB_SYNCHRONOUS),
    (0, "dirsync", SB_DIRSYNC, SB_DIRSYNC), (0, "lazytime", SB_LAZYTIME, SB_LAZYTIME),
    (SB_LAZYTIME, "nolazytime", 0, SB_LAZYTIME),
    (0, "mand", SB_MANDLOCK, SB_MANDLOCK), (SB_MANDLOCK, "nomand", 0, SB_MANDLOCK),
    (0, "ro,rw", 0, SB_RDONLY),
])
def test_flags_of_the_superblock_are_taken_first(machine, fs, start, option, flags, mask):
    fc = fs_context_for_mount(fs.type, start)
    assert parse_monolithic_mount_data(fc, option) == 0
    assert (fc.sb_flags, fc.sb_flags_mask, fs.seen) == (flags, mask, [])
    put_fs_context(fc)


def test_the_source(fc):
    assert vfs_parse_fs_string(fc, "source", "/dev/x") == 0 and fc.source == "/dev/x"
    fc.log.log = fc_log()
    assert name_of(vfs_parse_fs_string(fc, "source", "/dev/y")) == "EINVAL" and fc.source == "/dev/x"
    assert fc.log.log.buffer == ["e Multiple sources\n"]


def test_a_source_must_be_text(fc):
    fc.log.log = fc_log()
    assert name_of(vfs_parse_fs_string(fc, "source", None)) == "EINVAL" and fc.source is None
    assert fc.log.log.buffer == ["e Non-string source\n"]


def test_an_option_nobody_knows(fc):
    assert name_of(vfs_parse_fs_string(fc, "unknown", None)) == "EINVAL"


def test_the_kernels_log_gets_messages_that_no_one_waits_for(machine, fc):
    vfs_parse_fs_string(fc, "unknown", "1")
    errorf(fc, "plain %d", 1)
    errorfc(fc, "error %s", "x")
    warnfc(fc, "warning %pV", _va("nested %d", 3))
    infofc(fc, "info")
    errorfcp(fc, "other", "own prefix")
    assert machine.log.entries[-6:] == [(0, 3, "recorder: Unknown parameter 'unknown'"), (0, 3, "plain 1"),
                                        (0, 3, "recorder: error x"),
                                        (0, 4, "recorder: warning nested 3"), (0, 6, "recorder: info"),
                                        (0, 3, "other: own prefix")]


def _va(fmt, *args):
    from kemu.machine.printk import VaFormat

    return VaFormat(fmt, args)


def test_a_context_keeps_its_last_eight_messages(fc):
    fc.log.log = fc_log()
    for i in range(10):
        errorfc(fc, "%d", i)
    assert fc.log.log.buffer == [f"e recorder: {i}\n" for i in range(2, 10)]


def test_what_the_short_forms_return(fc):
    assert (invalf(fc, "x"), invalfc(fc, "x")) == (-EINVAL, -EINVAL)


def test_a_context_holds_its_type_and_gives_it_back(machine, fs):
    fc = fs_context_for_mount(fs.type, SB_RDONLY)
    assert fc.sb_flags == SB_RDONLY and fc.purpose == 0 and fc.log.prefix == "recorder" and module_refcount(fs.type) == 1
    put_fs_context(fc)
    assert fs.freed == 1 and module_refcount(fs.type) == 0


def test_a_context_that_cannot_be_made(machine):
    fs = Recorder({"init": -EIO})
    fc = fs_context_for_mount(fs.type, 0)
    assert IS_ERR(fc) and name_of(PTR_ERR(fc)) == "EIO" and module_refcount(fs.type) == 0


def test_a_copy(machine, fs):
    fc = fs_context_for_mount(fs.type, 0)
    assert name_of(PTR_ERR(vfs_dup_fs_context(fc))) == "ENOTSUP"
    put_fs_context(fc)
    copies = []
    fs = Recorder(dup=lambda fc, src: copies.append((fc, src)) or 0)
    fc = fs_context_for_mount(fs.type, 0)
    other = vfs_dup_fs_context(fc)
    assert copies == [(other, fc)] and module_refcount(fs.type) == 2
    put_fs_context(other)
    put_fs_context(fc)
    assert fs.freed == 2 and module_refcount(fs.type) == 0


def test_nothing_is_left():
    with balanced():
        fs = Recorder()
        fc = fs_context_for_mount(fs.type, 0)
        parse_monolithic_mount_data(fc, "a=1,unknown,b")
        put_fs_context(fc)


@pytest.mark.parametrize("at", range(1, 5))
def test_memory_that_is_not_there(at):
    fs = Recorder()
    with Machine(chooser=Planned("failslab", at)) as m:
        fc = fs_context_for_mount(fs.type, 0)
        if IS_ERR(fc):
            assert name_of(PTR_ERR(fc)) == "ENOMEM" and at == 1
        else:
            assert isinstance(fc, FsContext)
            ret = parse_monolithic_mount_data(fc, "a=1,b=2")
            assert (name_of(ret), len(fs.seen)) == {2: ("ENOMEM", 0), 3: ("ENOMEM", 1), 4: (0, 2)}[at]
            put_fs_context(fc)
        assert module_refcount(fs.type) == 0 and m.chooser.seen >= 1
