# SPDX-License-Identifier: GPL-2.0-only
"""Mount options by table: values, numbers, negation, and what the log says about a bad one."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemu.linux.fs import FileSystemType
from kemu.linux.fs_context import (
    FsContext,
    FsParameter,
    fc_log,
    fs_context_operations,
    fs_value_is_file,
    fs_value_is_flag,
    fs_value_is_string,
)
from kemu.linux.fs_parser import (
    constant_table,
    fs_param_is_string,
    fs_parameter_spec,
    fs_parse,
    fs_parse_result,
    fsparam_bool,
    fsparam_enum,
    fsparam_fd,
    fsparam_file_or_string,
    fsparam_flag,
    fsparam_flag_no,
    fsparam_gid,
    fsparam_s32,
    fsparam_string,
    fsparam_string_empty,
    fsparam_u32,
    fsparam_u32hex,
    fsparam_u32oct,
    fsparam_u64,
    fsparam_uid,
    lookup_constant,
)
from kemu.machine.machine import Machine
from tests.unit.linux.vfs_files import name_of

MODES = [constant_table("always", 7), constant_table("never", 9), constant_table()]
(FLAG, ACL, BOOL, N32, OCT, HEX, S32, N64, ENUM, TEXT, EMPTY, FD, FILE, UID, GID, OLD, BOTH) = range(100, 117)
SPEC = [fsparam_flag("flag", FLAG), fsparam_flag_no("acl", ACL), fsparam_bool("bool", BOOL), fsparam_u32("n32", N32),
        fsparam_u32oct("oct", OCT),
        fsparam_u32hex("hex", HEX), fsparam_s32("s32", S32), fsparam_u64("n64", N64), fsparam_enum("mode", ENUM, MODES),
        fsparam_string("text", TEXT), fsparam_string_empty("empty", EMPTY), fsparam_fd("fd", FD),
        fsparam_file_or_string("file", FILE),
        fsparam_uid("uid", UID), fsparam_gid("gid", GID), fs_parameter_spec("old", None, OLD, 0x8), fsparam_flag("both", BOTH),
        fsparam_string("both", BOTH + 1), fs_parameter_spec()]


def parse(key, value=None, spec=SPEC):
    """(number or errno's name, result, what the log got)"""
    fc = FsContext()
    fc.fs_type = FileSystemType(name="tabled")
    fc.ops = fs_context_operations()
    fc.log.prefix = "tabled"
    fc.log.log = fc_log()
    param = FsParameter(key, fs_value_is_flag if value is None else fs_value_is_string, value)
    result = fs_parse_result()
    ret = fs_parse(fc, spec, param, result)
    return name_of(ret), result, fc.log.log.buffer


@pytest.mark.parametrize("key,value,opt,got", [
    ("flag", None, FLAG, 1),
    ("acl", None, ACL, 1),
    ("noacl", None, ACL, 0),
    ("bool", "1", BOOL, 1), ("bool", "no", BOOL, 0), ("bool", "true", BOOL, 1), ("bool", "false", BOOL, 0),
    ("n32", "0", N32, 0), ("n32", "4294967295", N32, 4294967295), ("n32", "0x10", N32, 16), ("n32", "010", N32, 8),
    ("oct", "755", OCT, 0o755), ("oct", "0755", OCT, 0o755),
    ("hex", "ff", HEX, 255), ("hex", "0xff", HEX, 255),
    ("n64", "18446744073709551615", N64, 18446744073709551615),
    ("mode", "always", ENUM, 7), ("mode", "never", ENUM, 9),
    ("fd", "3", FD, 3), ("fd", "2147483647", FD, 2147483647),
    ("uid", "0", UID, 0), ("gid", "4294967294", GID, 4294967294),
])
def test_good_values(machine, key, value, opt, got):
    ret, result, log = parse(key, value)
    assert (ret, log) == (opt, [])
    assert {BOOL: result.boolean, S32: result.int_32, N64: result.uint_64}.get(opt, result.uint_32) == got
    assert result.negated == key.startswith("no")


def test_a_signed_value(machine):
    assert parse("s32", "-5")[1].int_32 == -5 and parse("s32", "2147483647")[1].int_32 == 2147483647


@pytest.mark.parametrize("key,value", [
    ("bool", "maybe"), ("bool", ""), ("bool", None),
    ("n32", ""), ("n32", "x"), ("n32", "1x"), ("n32", "-1"), ("n32", " 1"), ("n32", "4294967296"), ("n32", None),
    ("oct", "8"), ("oct", "9"), ("hex", "g"),
    ("s32", "2147483648"), ("s32", "--1"),
    ("n64", "18446744073709551616"), ("n64", "-1"),
    ("mode", "Always"), ("mode", ""), ("mode", "alway"), ("mode", None),
    ("text", ""), ("text", None), ("empty", None),
    ("fd", "-1"), ("fd", "2147483648"), ("fd", ""),
])
def test_bad_values(machine, key, value):
    ret, _, log = parse(key, value)
    assert (ret, log) == ("EINVAL", [f"e tabled: Bad value for '{key}'\n"])


def test_an_id_that_does_not_parse_is_said_twice(machine):
    ret, _, log = parse("uid", "x")
    assert (ret, log) == ("EINVAL", ["e tabled: Bad value for 'uid'\n"] * 2)


@pytest.mark.parametrize("key", ["uid", "gid"])
def test_no_such_id(machine, key):
    ret, _, log = parse(key, "4294967295")
    assert (ret, log) == ("EINVAL", [f"e tabled: Invalid {key} '4294967295'\n"])


@pytest.mark.parametrize("key,value", [("none", None), ("none", "x"), ("noflag", None), ("no", None), ("noacl", "x"),
                                       ("nono", None), ("", None),
                                       ("FLAG", None), ("flags", None), ("fla", None), ("nonoacl", None)])
def test_what_is_not_in_the_table(machine, key, value):
    ret, _, log = parse(key, value)
    assert (ret, log) == (-519, [])                 # -ENOPARAM: the next one is asked


def test_a_flag_takes_no_value(machine):
    ret, _, log = parse("flag", "x")
    assert (ret, log) == ("EINVAL", ["e tabled: Unexpected value for 'flag'\n"])


def test_a_deprecated_option_still_works(machine):
    ret, result, log = parse("old")
    assert (ret, result.boolean, log) == (OLD, True, ["w tabled: Deprecated parameter 'old'\n"])


def test_one_name_with_and_without_a_value(machine):
    assert parse("both")[0] == BOTH and parse("both", "x")[0] == BOTH + 1


def test_strings(machine):
    assert parse("text", "a,b")[0] == TEXT and parse("empty", "")[0] == EMPTY
    assert parse("file", "/path")[0] == FILE and parse("file", "")[0] == "EINVAL"
    assert fs_param_is_string is not None


def test_a_file_descriptor_as_a_value(machine):
    fc = FsContext()
    fc.fs_type = FileSystemType(name="tabled")
    fc.log.log = fc_log()
    param = FsParameter("fd", fs_value_is_file)
    param.dirfd = 5
    result = fs_parse_result()
    assert fs_parse(fc, SPEC, param, result) == FD and result.uint_32 == 5
    param.key, param.dirfd = "file", -1
    assert name_of(fs_parse(fc, SPEC, param, result)) == "EINVAL"


def test_a_result_is_not_kept_from_the_last_option(machine):
    result = fs_parse_result()
    fc = FsContext()
    fc.fs_type = FileSystemType(name="tabled")
    fs_parse(fc, SPEC, FsParameter("n32", fs_value_is_string, "77"), result)
    fs_parse(fc, SPEC, FsParameter("noacl"), result)
    assert result.negated and not result.boolean
    fs_parse(fc, SPEC, FsParameter("n32", fs_value_is_string, "77"), result)
    fs_parse(fc, SPEC, FsParameter("text", fs_value_is_string, "x"), result)
    assert not result.negated and result.uint_32 == 0


def test_constants(machine):
    assert lookup_constant(MODES, "never", -1) == 9 and lookup_constant(MODES, "nev", -1) == -1


@given(st.integers(0, 2**70), st.sampled_from(["n32", "n64"]), st.sampled_from(["%d", "0x%x", "0%o", "0X%X"]))
def test_numbers_are_taken_in_every_base_up_to_their_size(n, key, form):
    with Machine():
        ret, result, _ = parse(key, form % n)
        if n < 2**(32 if key == "n32" else 64):
            assert result.uint_64 == n and ret in (N32, N64)
        else:
            assert ret == "EINVAL"
