# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/namei.c: lookup through the layers."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, EREMOTE
from kemu.linux.fs.dcache import __d_drop, d_splice_alias, dput
from kemu.linux.fs.namei import lookup_one_positive_unlocked, lookup_one_unlocked
from kemu.linux.fs.overlayfs.inode import ovl_get_inode, ovl_lookup_trap_inode
from kemu.linux.fs.overlayfs.overlayfs import ovl_set_flag, with_ovl_creds
from kemu.linux.fs.overlayfs.ovl_entry import (
    AS_A_BOOT,
    OVL_E,
    OVL_FS,
    OVL_UPPERDATA,
    ovl_entry,
    ovl_inode_params,
    ovl_layer,
    ovl_lowerstack,
    ovl_numlower,
    ovl_path,
)
from kemu.linux.fs.overlayfs.util import (
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
    ovl_path_is_whiteout,
    ovl_path_upper,
    ovl_stack_free,
)
from kemu.linux.include.dcache import DCACHE_OP_REAL, Dentry, Qstr, d_can_lookup
from kemu.linux.include.fs.types import Inode
from kemu.linux.include.path import Path
from kemu.linux.include.slab import kzalloc_objs
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import custom, port_of
from kemu.linux.printk import pr_warn
from kemu.linux.super_types import SuperBlock
from kemu.linux.types import Ref, ptr_to
from kemu.machine.current import NULL

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


class ovl_lookup_ctx:
    """``struct ovl_lookup_ctx``: no index, no origin."""

    __slots__ = ("ctr", "dentry", "inode", "oe", "stack", "upperdentry")

    def __init__(self, dentry: Dentry):
        self.dentry = dentry
        self.oe: ovl_entry | None = None
        self.stack: list[ovl_path] = NULL
        self.upperdentry: Dentry = NULL
        self.inode: Any = NULL
        self.ctr = 0


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
def ovl_lookup_single(base: Dentry, d: ovl_lookup_data, name: bytes, ret: Ref, drop_negative: bool) -> int:
    ofs = OVL_FS(d.sb)
    this: Dentry = NULL
    path = Path()
    is_upper = d.layer.idx == 0
    labels = Labels()

    def out() -> int:
        ret.v = this
        return 0

    def put_and_out() -> int:
        nonlocal this
        dput(this)
        this = NULL
        return out()

    @labels.label
    def out_warn() -> None:
        pr_warn("overlayfs: failed lookup in %s (%pd2, name='%.*s', err=%i): %s\n",
                "upper" if is_upper else "lower", base, len(name), name, err, warn)

    @labels.label
    def out_err() -> None:
        dput(this)

    found = ovl_lookup_positive_unlocked(d, name, base, drop_negative)
    if IS_ERR(found):
        err = PTR_ERR(found)
        if err == -ENOENT or err == -ENAMETOOLONG:
            return out()
        return labels.goto(out_err, err)
    this = found

    if ovl_dentry_weird(this):
        # Don't support traversing automounts and other weirdness
        warn = "unsupported object type"
        err = -EREMOTE
        return labels.goto(out_warn, err)

    path.dentry = this
    path.mnt = d.layer.mnt
    if ovl_path_is_whiteout(ofs, path):
        d.stop = d.opaque = True
        return put_and_out()

    if not d_can_lookup(this):
        if d.is_dir:
            d.stop = True
            return put_and_out()
        d.stop = True
        return out()
    else:
        if ovl_lookup_trap_inode(d.sb, this):
            # Caught in a trap of overlapping layers
            warn = "overlapping layers"
            err = -ELOOP
            return labels.goto(out_warn, err)

        d.is_dir = True
        if d.last:
            return out()

        # overlay.opaque=x means xwhiteouts directory
        val = ovl_get_opaquedir_val(ofs, path)
        if not is_upper and val == b"x":
            d.xwhiteouts = True
            d.layer.has_xwhiteouts = True       # ovl_layer_set_xwhiteouts()
        elif val == b"y":
            d.stop = True
            d.opaque = True
            return out()
    return out()


@port_of(C, "ovl_path_next")
def ovl_path_next(idx: int, dentry: Dentry, path: Path, layer: Ref) -> int:
    """Returns next layer in stack starting from top. Returns -1 if this is the last layer."""
    oe = OVL_E(dentry)
    lowerstack = ovl_lowerstack(oe)

    BUG_ON(idx < 0)
    if idx == 0:
        ovl_path_upper(dentry, path)
        if path.dentry:
            layer.v = OVL_FS(dentry.d_sb).layers[0]
            return 1 if ovl_numlower(oe) else -1
        idx += 1
    BUG_ON(idx > ovl_numlower(oe))
    path.dentry = lowerstack[idx - 1].dentry
    layer.v = lowerstack[idx - 1].layer
    path.mnt = layer.v.mnt

    return idx + 1 if idx < ovl_numlower(oe) else -1


@custom(C, "ovl_lookup_layers", "no redirect, metacopy or origin is followed")
def ovl_lookup_layers(ctx: ovl_lookup_ctx, d: ovl_lookup_data) -> int:
    dentry = ctx.dentry
    ofs = OVL_FS(dentry.d_sb)
    poe = OVL_E(dentry.d_parent)
    upperopaque = False
    this = Ref()

    upperdir = ovl_dentry_upper(dentry.d_parent)
    if upperdir:
        d.layer = ofs.layers[0]
        err = ovl_lookup_single(upperdir, d, d.name.name, ptr_to(ctx, "upperdentry"), True)
        if err:
            return err

        if ctx.upperdentry and ctx.upperdentry.d_flags & DCACHE_OP_REAL:
            return -EREMOTE

        upperopaque = d.opaque

    if not d.stop and ovl_numlower(poe):
        err = -ENOMEM
        ctx.stack = kzalloc_objs(None, ofs.numlayer - 1)        # ovl_stack_alloc()
        if not ctx.stack:
            return err

    i = 0
    while not d.stop and i < ovl_numlower(poe):
        lower = ovl_lowerstack(poe)[i]

        d.last = i == ovl_numlower(poe) - 1

        d.layer = lower.layer
        err = ovl_lookup_single(lower.dentry, d, d.name.name, this, False)
        if err:
            return err
        i += 1

        if not this.v:
            continue

        ctx.stack[ctx.ctr] = ovl_path(lower.layer, this.v)
        ctx.ctr += 1

        if d.stop:
            break

    if ctx.ctr:
        ctx.oe = ovl_alloc_entry(ctx.stack[:ctx.ctr])           # and ovl_stack_cpy()
        err = -ENOMEM
        if not ctx.oe:
            return err

    if upperopaque:
        ovl_dentry_set_opaque(dentry)
    if d.xwhiteouts:
        ovl_dentry_set_xwhiteouts(dentry)

    if ctx.upperdentry:
        ovl_dentry_set_upper_alias(dentry)

    if ctx.upperdentry or ctx.ctr:
        oip = ovl_inode_params(ctx.upperdentry, ctx.oe)

        inode = ovl_get_inode(dentry.d_sb, oip)
        if IS_ERR(inode):
            return PTR_ERR(inode)

        ctx.inode = inode
        if ctx.upperdentry:
            ovl_set_flag(OVL_UPPERDATA, ctx.inode)

    ovl_dentry_init_reval(dentry, ctx.upperdentry, ctx.inode.oe if ctx.inode else NULL)

    return 0


@custom(C, "ovl_lookup", AS_A_BOOT)
def ovl_lookup(dir: Inode, dentry: Dentry, flags: int) -> Any:
    """``struct dentry *ovl_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)``"""
    ofs = OVL_FS(dentry.d_sb)
    poe = OVL_E(dentry.d_parent)
    ctx = ovl_lookup_ctx(dentry)
    d = ovl_lookup_data(dentry.d_sb, dentry, not ovl_numlower(poe))

    if dentry.d_name.len > ofs.namelen:
        return ERR_PTR(-ENAMETOOLONG)

    with with_ovl_creds(dentry.d_sb):
        err = ovl_lookup_layers(ctx, d)

    ovl_stack_free(ctx.stack, ctx.ctr)

    if err:
        ovl_free_entry(ctx.oe)
        dput(ctx.upperdentry)
        return ERR_PTR(err)

    return d_splice_alias(ctx.inode, dentry)


@port_of(C, "ovl_lower_positive")
def ovl_lower_positive(dentry: Dentry) -> bool:
    poe = OVL_E(dentry.d_parent)
    name = dentry.d_name
    positive = False
    done = False

    # If dentry is negative, then lower is positive iff this is a whiteout.
    if not dentry.d_inode:
        return ovl_dentry_is_opaque(dentry)

    # Negative upper -> positive lower
    if not ovl_dentry_upper(dentry):
        return True

    with with_ovl_creds(dentry.d_sb):
        # Positive upper -> have to look up lower to see whether it exists
        i = 0
        while not done and not positive and i < ovl_numlower(poe):
            parentpath = ovl_lowerstack(poe)[i]

            this = lookup_one_positive_unlocked(parentpath.layer.mnt.mnt_idmap, Qstr(name.name), parentpath.dentry)
            if IS_ERR(this):
                if PTR_ERR(this) not in (-ENOENT, -ENAMETOOLONG):
                    # Assume something is there, we just couldn't access it.
                    positive = True
            else:
                path = Path(parentpath.layer.mnt, this)
                positive = not ovl_path_is_whiteout(OVL_FS(dentry.d_sb), path)
                done = True
                dput(this)
            i += 1

    return positive
