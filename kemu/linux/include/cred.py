# SPDX-License-Identifier: GPL-2.0-only
"""struct cred, the current one, and whether it is capable (include/linux/cred.h, include/linux/capability.h)."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kemu.linux.port.honesty import custom, dup, names
from kemu.machine.current import this
from kemu.machine.statics import statics

P = "include/linux/cred.h"

CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID = range(5)
CAP_SETGID, CAP_SETUID, CAP_LINUX_IMMUTABLE = 6, 7, 9
CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_CHROOT, CAP_SYS_ADMIN, CAP_SYS_RESOURCE, CAP_MKNOD = 16, 17, 18, 21, 24, 27
CAP_FULL_SET = (1 << 41) - 1


@custom("include/linux/user_namespace.h", "struct user_namespace", "there is one")
class UserNamespace:
    """``struct user_namespace``: there is one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<init_user_ns>"


init_user_ns = UserNamespace()


@custom(P, "struct cred", "fsuid and fsgid stand for all ids")
class Cred:
    """``struct cred``: ``caps`` is a bit set of CAP_*."""

    __slots__ = ("caps", "fsgid", "fsuid", "groups", "usage", "user_ns")

    def __init__(self, fsuid: int = 0, fsgid: int = 0, caps: int = CAP_FULL_SET, groups: tuple[int, ...] = ()):
        self.fsuid = fsuid
        self.fsgid = fsgid
        self.caps = caps
        self.groups = groups
        self.usage = 1
        self.user_ns = init_user_ns


@statics
class g:
    init_cred: Cred


@dup(P)
def current_cred() -> Cred:
    """``const struct cred *current_cred(void)``"""
    cred = this.task.cred
    return g.init_cred if cred is None else cred            # type: ignore[no-any-return]


@dup(P)
def get_cred(cred: Cred) -> Cred:
    """``const struct cred *get_cred(const struct cred *cred)``"""
    cred.usage += 1
    return cred


@dup(P)
def put_cred(cred: Cred) -> None:
    """``void put_cred(const struct cred *cred)``"""
    cred.usage -= 1


@dup(P)
def get_current_cred() -> Cred:
    """``const struct cred *get_current_cred(void)``"""
    return get_cred(current_cred())


@dup(P)
def override_creds(override_cred: Cred) -> Cred:
    """``const struct cred *override_creds(const struct cred *override_cred)``: returns the ones before."""
    old = current_cred()
    this.task.cred = override_cred
    return old


@dup(P)
def revert_creds(revert_cred: Cred) -> Cred:
    """``const struct cred *revert_creds(const struct cred *revert_cred)``"""
    return override_creds(revert_cred)


@custom(P, "scoped_with_creds", "a context manager")
@contextmanager
def scoped_with_creds(cred: Cred) -> Iterator[None]:
    """``scoped_with_creds(cred)``: the body runs with these credentials."""
    old = override_creds(cred)
    try:
        yield
    finally:
        revert_creds(old)


@dup(P)
def current_user_ns() -> UserNamespace:
    """``struct user_namespace *current_user_ns(void)``"""
    return init_user_ns


@dup(P)
def current_fsuid() -> int:
    """``kuid_t current_fsuid(void)``"""
    return current_cred().fsuid


@dup(P)
def current_fsgid() -> int:
    """``kgid_t current_fsgid(void)``"""
    return current_cred().fsgid


@dup(P)
def in_group_p(grp: int) -> bool:
    """``int in_group_p(kgid_t grp)``"""
    cred = current_cred()
    return grp == cred.fsgid or grp in cred.groups


@dup("include/linux/capability.h")
def capable(cap: int) -> bool:
    """``bool capable(int cap)``"""
    return bool(current_cred().caps >> cap & 1)


@custom("include/linux/capability.h", "ns_capable", "there is one user namespace")
def ns_capable(ns: Any, cap: int) -> bool:
    """``bool ns_capable(struct user_namespace *ns, int cap)``"""
    return bool(current_cred().caps >> cap & 1)


names("custom", P, "UserNamespace", "scoped_with_creds", how="one namespace; a context manager")
