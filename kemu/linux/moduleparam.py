# SPDX-License-Identifier: GPL-2.0-only
"""The command line: ``param=value`` words and who takes them (include/linux/moduleparam.h, kernel/params.c, lib/cmdline.c)."""
from __future__ import annotations

from kemu.linux.fs.proc.proc_sysctl import sysctl_aliases, sysctl_is_alias  # noqa: F401
from kemu.linux.include.moduleparam import kernel_param, params, parse_unknown_fn  # noqa: F401
from kemu.linux.init.main import parse_takes  # noqa: F401
from kemu.linux.kernel.params import param_check, param_set_bool, parameq, parameqn, parse_args, parse_one  # noqa: F401
from kemu.linux.lib.cmdline import get_option, next_arg  # noqa: F401
from kemu.linux.port.honesty import custom
from kemu.linux.types import FieldPtr

P = "include/linux/moduleparam.h"


@custom(P, "core_param", "of the types, bool only")
def core_param(name: str, var: FieldPtr, type: str) -> None:
    """``core_param(name, var, type, perm)``"""
    assert type == "bool"
    params.append(kernel_param(name, lambda val: param_set_bool(val, var), -1, noarg=True))
