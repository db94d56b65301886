# SPDX-License-Identifier: GPL-2.0-only
"""__setup handlers, initcalls and the state of the boot (include/linux/init.h).

Handlers and initcalls are declared when a ported file is loaded, as the linker collects them; the order in which initcalls run
comes from the table of a real build (kemu.machine.initcalls).
"""
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from kemu.linux.port.honesty import custom, dup, names
from kemu.machine.current import this
from kemu.machine.initcalls import functions
from kemu.machine.places import linked
from kemu.machine.statics import statics

P = "include/linux/init.h"

F = TypeVar("F", bound=Callable[..., Any])
initcall_t = Callable[[], int]
SYSTEM_BOOTING, SYSTEM_SCHEDULING, SYSTEM_FREEING_INITMEM, SYSTEM_RUNNING, SYSTEM_HALT = range(5)
LEVELS = ("early", "pure", "core", "postcore", "arch", "subsys", "fs", "rootfs", "device", "late")

@statics
class g:
    system_state = SYSTEM_BOOTING

_text = str             # the structure has a field of the type's name


class obs_kernel_param(NamedTuple):
    """``struct obs_kernel_param``"""

    str: str
    setup_func: Callable[[Any], int]
    early: bool
    config: _text = ""          # the option whose code declares it, if any


def setups() -> Iterator[obs_kernel_param]:
    """``__setup_start .. __setup_end``: the ported ones that the machine's configuration has."""
    config = this.machine.config
    return (p for p in setup_table if not p.config or config.get(p.config))


setup_table: list[obs_kernel_param] = linked([])    # __setup_start .. __setup_end


@custom(P, "__setup", "a decorator")
def __setup(name: str, config: str = "") -> Callable[[F], F]:
    """``__setup(str, fn)``: ``fn(rest)`` gets what follows ``name`` on the command line; 1 if it has taken it. ``config``: its
    file's option.
    """
    def deco(fn: F) -> F:
        setup_table.append(obs_kernel_param(name, fn, False, config))
        return fn
    return deco


@custom(P, "early_param", "a decorator")
def early_param(name: str, config: str = "") -> Callable[[F], F]:
    """``early_param(str, fn)``: ``fn(value or None)`` is called while the command line is parsed for the first time; 0 if it is
    right.
    """
    def deco(fn: F) -> F:
        setup_table.append(obs_kernel_param(name, fn, True, config))
        return fn
    return deco


class Initcall(NamedTuple):
    """An initcall that ported code declares."""

    level: str
    name: str
    fn: initcall_t
    config: str = ""            # CONFIG_X or !CONFIG_X: whether its file is built


initcalls: dict[str, Initcall] = linked({})         # name -> what stands in for the table's entry of that name


@custom(P, "only_if", "what a Makefile says about the file that has the initcall")
def only_if(option: str) -> Callable[[F], F]:
    """``obj-$(CONFIG_X)``: the initcall is there only with ``CONFIG_X``, or without it (``!CONFIG_X``)."""
    def deco(fn: F) -> F:
        initcalls[fn.__name__] = initcalls[fn.__name__]._replace(config=option)
        return fn
    return deco


def _initcall(level: str, c_name: str) -> Callable[[F], F]:
    def deco(fn: F) -> F:
        initcalls[fn.__name__] = Initcall(level, fn.__name__, fn)
        return fn
    deco.__name__ = c_name
    deco.__doc__ = (f"``{c_name}(fn)``: fn stands in for the table's initcall of its name; a name the table does not have runs "
                    f"first in level "
                    f"{level!r} if it is of init/, else last.")
    return deco


early_initcall = _initcall("early", "early_initcall")
pure_initcall = _initcall("pure", "pure_initcall")
core_initcall = _initcall("core", "core_initcall")
postcore_initcall = _initcall("postcore", "postcore_initcall")
arch_initcall = _initcall("arch", "arch_initcall")
subsys_initcall = _initcall("subsys", "subsys_initcall")
fs_initcall = _initcall("fs", "fs_initcall")
rootfs_initcall = _initcall("rootfs", "rootfs_initcall")
device_initcall = _initcall("device", "device_initcall")
late_initcall = _initcall("late", "late_initcall")
module_init = device_initcall


@custom(P, "__init", "marks a function for reports")
def __init(fn: F) -> F:
    """``__init``"""
    return fn


@custom(P, "initcall_levels", "level name -> functions in link order; 'fs' ends with the rootfs initcalls")
def initcall_levels() -> dict[str, list[initcall_t]]:
    """``initcall_levels[]``: the machine's table (part 'initcall_table', else UML's of 7.2) with the ported functions standing
    in.
    """
    return functions(this.machine, initcalls)


_exports: dict[str, Callable[..., Any]] = {}


@custom("include/linux/export.h", "EXPORT_SYMBOL_GPL", "of init/ only: the rest of the kernel calls it by way of this module")
def EXPORT_SYMBOL_GPL(fn: F) -> F:
    """``EXPORT_SYMBOL_GPL(fn)``"""
    _exports[fn.__name__] = fn
    return fn


@custom("include/linux/linkage.h", "extern", "of init/ only: declared in a header, called from elsewhere in the kernel")
def extern(fn: F) -> F:
    """``extern fn``"""
    _exports[fn.__name__] = fn
    return fn


@dup("include/linux/initrd.h")
def wait_for_initramfs() -> None:
    """``void wait_for_initramfs(void)``: until the initramfs is unpacked; nothing to do where no initramfs code is loaded."""
    fn = _exports.get("wait_for_initramfs")
    if fn is not None and this.machine.config.get("CONFIG_BLK_DEV_INITRD"):
        getattr(sys.modules[fn.__module__], fn.__name__)()          # a series may have replaced it


@dup("include/linux/kernel.h")
def set_system_state(state: int) -> None:
    """``system_state = state``"""
    g.system_state = state
    if this.watch is not None:
        this.watch.event("system_state", state=state)


@dup("include/linux/kernel.h", "system_state")
def system_state() -> int:
    """``system_state``"""
    return int(g.system_state)


names("custom", P, "early_initcall", "pure_initcall", "core_initcall", "postcore_initcall", "arch_initcall", "subsys_initcall",
      "fs_initcall", "rootfs_initcall", "device_initcall", "late_initcall", "module_init",
      how="decorators; the order is the table's of a real build")
names("dup", P, "obs_kernel_param")
names("custom", P, "setups", how="of the machine's configuration")
names("custom", P, "Initcall", how="a declared initcall, by name")
