# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/namei.c: lookup through the layers."""
from __future__ import annotations

from typing import Any

from kemu.linux.dcache import DCACHE_OP_REAL, Dentry, __d_drop, d_can_lookup, d_splice_alias, dput
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, EREMOTE
from kemu.linux.honesty import custom, port_of
from kemu.linux.overlayfs.how import AS_A_BOOT
from kemu.linux.overlayfs.inode import ovl_get_inode, ovl_lookup_trap_inode
from kemu.linux.overlayfs.ovl_entry import OVL_FS, OVL_UPPERDATA, ovl_inode_params, ovl_layer, ovl_path
from kemu.linux.overlayfs.util import (
    OVL_E,
    ovl_alloc_entry,
    ovl_dentry_init_reval,
    ovl_dentry_is_opaque,
    ovl_dentry_set_opaque,
    ovl_dentry_set_upper_alias,
    ovl_dentry_set_xwhiteouts,
    ovl_dentry_upper,
    ovl_dentry_weird,
    ovl_free_entry,
    ovl_get_opaquedir_val,
    ovl_lowerstack,
    ovl_path_is_whiteout,
    ovl_set_flag,
    with_ovl_creds,
)
from kemu.linux.printk import pr_warn
from kemu.linux.slab import kfree, kzalloc_objs
from kemu.linux.super_types import SuperBlock
from kemu.linux.vfs.basic import Path, Qstr
from kemu.linux.vfs.one import lookup_one_positive_unlocked, lookup_one_unlocked
from kemu.linux.vfs.types import Inode

C = "fs/overlayfs/namei.c"


class ovl_lookup_data:
    """``struct ovl_lookup_data``: no redirects, no metacopy."""

    __slots__ = ("dentry", "is_dir", "last", "layer", "name", "opaque", "sb", "stop", "xwhiteouts")

    def __init__(self, sb: SuperBlock, dentry: Dentry, last: bool):
        self.sb = sb
        self.dentry = dentry
        self.layer: ovl_layer = None            # type: ignore[assignment]
        self.name = dentry.d_name
        self.is_dir = self.opaque = self.xwhiteouts = self.stop = False
        self.last = last


@custom(C, "ovl_lookup_positive_unlocked", "the flag is set without d_lock")
def ovl_lookup_positive_unlocked(d: ovl_lookup_data, name: bytes, base: Dentry, drop_negative: bool) -> Any:
    ret = lookup_one_unlocked(d.layer.mnt.mnt_idmap, Qstr(name), base)
    if not IS_ERR(ret) and ret.d_inode is None:
        if drop_negative and ret.d_lockref == 1:
            __d_drop(ret)
        dput(ret)
        ret = ERR_PTR(-ENOENT)
    return ret


@custom(C, "ovl_lookup_single", AS_A_BOOT)
def ovl_lookup_single(base: Dentry, d: ovl_lookup_data, name: bytes, drop_negative: bool) -> Any:
    """The dentry in this layer, None if the layer has none that counts, or an errno."""
    ofs = OVL_FS(d.sb)
    is_upper = d.layer.idx == 0

    this = ovl_lookup_positive_unlocked(d, name, base, drop_negative)
    if IS_ERR(this):
        err = PTR_ERR(this)
        return None if err in (-ENOENT, -ENAMETOOLONG) else err

    err, warn = 0, ""
    path = Path(d.layer.mnt, this)
    if ovl_dentry_weird(this):
        # Don't support traversing automounts and other weirdness
        warn, err = "unsupported object type", -EREMOTE
    elif ovl_path_is_whiteout(ofs, path):
        d.stop = d.opaque = True
        dput(this)
        return None
    elif not d_can_lookup(this):
        if d.is_dir:
            d.stop = True
            dput(this)
            return None
        d.stop = True
        return this
    elif ovl_lookup_trap_inode(d.sb, this):
        # Caught in a trap of overlapping layers
        warn, err = "overlapping layers", -ELOOP
    if err:
        pr_warn("overlayfs: failed lookup in %s (%pd2, name='%.*s', err=%i): %s\n", "upper" if is_upper else "lower", base, len(name), name, err, warn)
        dput(this)
        return err

    d.is_dir = True
    if d.last:
        return this

    # overlay.opaque=x means xwhiteouts directory
    val = ovl_get_opaquedir_val(ofs, path)
    if not is_upper and val == b"x":
        d.xwhiteouts = True
        d.layer.has_xwhiteouts = True
    elif val == b"y":
        d.stop = True
        d.opaque = True
    return this


@custom(C, "ovl_lookup_layers", "no redirect, metacopy or origin is followed")
def ovl_lookup_layers(dentry: Dentry, d: ovl_lookup_data) -> Any:
    """The inode, None, or an errno."""
    ofs = OVL_FS(dentry.d_sb)
    poe = ovl_lowerstack(OVL_E(dentry.d_parent))
    stack: list[ovl_path] = []
    upperdentry = None
    upperopaque = False
    err = 0

    def undo() -> int:
        for p in stack:
            dput(p.dentry)
        dput(upperdentry)
        return err

    upperdir = ovl_dentry_upper(dentry.d_parent)
    if upperdir is not None:
        d.layer = ofs.layers[0]
        this = ovl_lookup_single(upperdir, d, d.name.name, True)
        if this.__class__ is int:
            return this
        upperdentry = this
        if upperdentry is not None and upperdentry.d_flags & DCACHE_OP_REAL:
            err = -EREMOTE
            return undo()
        upperopaque = d.opaque

    block = None
    if not d.stop and poe:
        block = kzalloc_objs(None, ofs.numlayer - 1)            # ovl_stack_alloc()
        if block is None:
            err = -ENOMEM
            return undo()

    for i, lower in enumerate(poe):
        if d.stop:
            break
        d.last = i == len(poe) - 1
        d.layer = lower.layer
        this = ovl_lookup_single(lower.dentry, d, d.name.name, False)
        if this.__class__ is int:
            err = this
            kfree(block)
            return undo()
        if this is None:
            continue
        stack.append(ovl_path(lower.layer, this))
    if block is not None:
        kfree(block)

    oe = None
    if stack:
        oe = ovl_alloc_entry(stack)
        if oe is None:
            err = -ENOMEM
            return undo()

    if upperopaque:
        ovl_dentry_set_opaque(dentry)
    if d.xwhiteouts:
        ovl_dentry_set_xwhiteouts(dentry)
    if upperdentry is not None:
        ovl_dentry_set_upper_alias(dentry)

    inode: Any = None
    if upperdentry is not None or stack:
        has_upper = upperdentry is not None
        inode = ovl_get_inode(dentry.d_sb, ovl_inode_params(upperdentry, oe))
        if IS_ERR(inode):
            err = PTR_ERR(inode)
            ovl_free_entry(oe)
            return undo()
        if has_upper:
            ovl_set_flag(OVL_UPPERDATA, inode)
    for p in stack:
        dput(p.dentry)
    ovl_dentry_init_reval(dentry, inode.upperdentry if inode is not None else None, inode.oe if inode is not None else None)
    return inode


@port_of(C, "ovl_lookup")
def ovl_lookup(dir: Inode, dentry: Dentry, flags: int) -> Any:
    ofs = OVL_FS(dentry.d_sb)
    poe = OVL_E(dentry.d_parent)
    d = ovl_lookup_data(dentry.d_sb, dentry, not ovl_lowerstack(poe))

    if dentry.d_name.len > ofs.namelen:
        return ERR_PTR(-ENAMETOOLONG)

    with with_ovl_creds(dentry.d_sb):
        inode = ovl_lookup_layers(dentry, d)
    if inode.__class__ is int:
        return ERR_PTR(inode)
    return d_splice_alias(inode, dentry)


@port_of(C, "ovl_lower_positive")
def ovl_lower_positive(dentry: Dentry) -> bool:
    poe = ovl_lowerstack(OVL_E(dentry.d_parent))
    ofs = OVL_FS(dentry.d_sb)

    # If dentry is negative, then lower is positive iff this is a whiteout.
    if dentry.d_inode is None:
        return ovl_dentry_is_opaque(dentry)

    # Negative upper -> positive lower
    if ovl_dentry_upper(dentry) is None:
        return True

    with with_ovl_creds(dentry.d_sb):
        # Positive upper -> have to look up lower to see whether it exists
        for parentpath in poe:
            this = lookup_one_positive_unlocked(parentpath.layer.mnt.mnt_idmap, Qstr(dentry.d_name.name), parentpath.dentry)
            if IS_ERR(this):
                if PTR_ERR(this) not in (-ENOENT, -ENAMETOOLONG):
                    return True                 # Assume something is there, we just couldn't access it.
            else:
                positive = not ovl_path_is_whiteout(ofs, Path(parentpath.layer.mnt, this))
                dput(this)
                return positive
    return False
