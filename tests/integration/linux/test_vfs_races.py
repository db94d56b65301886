# SPDX-License-Identifier: GPL-2.0-only
"""Tasks that walk, open, read, mount, unmount and reclaim at the same time, in random order: what they see fits the tree, and
nothing is left.
"""
from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from kemu.linux.dcache import prune_dcache_sb, shrink_dcache_sb
from kemu.linux.errno import EIO
from kemu.linux.fs import iterate_supers_type, prune_icache_sb, unregister_filesystem
from kemu.linux.fs_context import get_tree_single
from kemu.linux.namei import kern_path
from kemu.linux.path import Path, path_put
from kemu.linux.port import user as sys
from kemu.machine.current import this
from tests.unit.linux.vfs_files import Link, TreeFs, balanced, mount, name_of, ok

TREE = {b"a": {b"f": b"contents of f" * 400, b"b": {b"g": b"g"}}, b"f": b"top", b"l": Link(b"a/b"),
        b"p": Link(b"a/f", paged=True)}
PATHS = {"/mnt/a/f": "file", "/mnt/a/b/g": "file", "/mnt/f": "file", "/mnt/l/g": "file", "/mnt/p": "file", "/mnt/a": "dir",
         "/mnt/none": None, "/mnt/a/none": None}
OPS = ("stat", "read", "list", "umount", "mount", "prune", "shrink", "icache", "iterate", "bind")


class Shuffle:
    """A Chooser: any runnable task may be next; calls into the file system fail now and then."""

    def __init__(self, seed, fails):
        self.random = random.Random(seed)
        self.fails = fails

    def task(self, runnable, current, where):
        return self.random.randrange(len(runnable))

    def value(self, name, low, high):
        return self.random.randint(low, high)

    def fault(self, kind, what):
        return False


def run(seed, tasks, fails):
    with balanced() as m:
        fs = TreeFs(TREE)
        fs.context_ops.get_tree = lambda fc: get_tree_single(fc, fs.fill_super)
        ok(mount(fs))
        m.chooser = this.chooser = chooser = Shuffle(seed, fails)

        def pause(*args):
            """The file system waits for its device, or fails."""
            if chooser.random.random() < 0.5:
                this.sched.sleep(chooser.random.randrange(1, 50))
            else:
                this.sched.yield_()
            return -EIO if fails and chooser.random.random() < 0.2 else 0

        for name in ("lookup", "iget", "read_folio", "readdir", "fill_super", "put_super"):
            fs.hooks[name] = pause
        allowed = {"EIO", "ENOENT", "ENOTDIR"} if fails else {"ENOENT"}

        def supers(what):
            iterate_supers_type(fs.type, lambda sb, arg: what(sb), None)

        def one(op, path):
            want = PATHS[path]
            if op == "stat":
                st_ = sys.sys_stat(path)
                if isinstance(st_, int):
                    assert name_of(st_) in allowed
                else:
                    assert (st_.mode >> 12) == (8 if want == "file" else 4)
            elif op == "read":
                f = sys.sys_open(path, 0)
                if isinstance(f, int):
                    assert name_of(f) in allowed
                    return
                buf = bytearray(6000)
                n = sys.sys_read(f, buf, 6000)
                assert name_of(n) == ("EISDIR" if want == "dir" else n) or (name_of(n) == "EIO" and fails)
                if want == "file" and n > 0:
                    data = fs.nodes[f.f_inode.i_ino]
                    assert bytes(buf[:n]) == data[:n] and (n == len(data) or fails)
                sys.sys_close(f)
            elif op == "list":
                f = sys.sys_open("/mnt/a", 0)
                if not isinstance(f, int):
                    n, entries = sys.sys_getdents64(f)
                    assert (n > 0 and {e[0] for e in entries} <= {b".", b"..", b"f", b"b"}) or fails
                    sys.sys_close(f)
            elif op == "umount":
                assert name_of(sys.sys_umount("/mnt", chooser.random.choice((0, 2)))) in (0, "EBUSY", "EINVAL")
            elif op == "mount":
                # there already; unmounted
                assert name_of(sys.sys_mount("none", "/mnt", fs.type.name)) in (0, "EIO", "ENOMEM", "EBUSY", "ENOENT")
            elif op == "bind":
                assert name_of(sys.sys_mount("/mnt", "/mnt2", None, 4096)) in (0, "EIO", "ENOMEM", "EINVAL", "ENOENT")
            elif op == "prune":
                supers(lambda sb: prune_dcache_sb(sb, 3))
            elif op == "shrink":
                supers(shrink_dcache_sb)
            elif op == "icache":
                supers(lambda sb: prune_icache_sb(sb, 3))
            else:
                p = Path()
                if not kern_path(path, 1, p):
                    this.sched.yield_()
                    path_put(p)

        done = []

        def task(ops):
            for op, path in ops:
                one(op, path)
            sys.exit_to_user_mode()
            done.append(1)

        for i, ops in enumerate(tasks):
            m.sched.spawn(f"t{i}", lambda ops=ops: task(ops))
        this.sched.sleep(100_000)
        assert len(done) == len(tasks), m.sched.describe_waiters()
        m.chooser = this.chooser = None
        fs.hooks.clear()
        for where in ("/mnt", "/mnt2"):
            while name_of(sys.sys_umount(where)) == 0:
                pass
        m.idle()
        found = []
        supers(found.append)
        assert not found
        ok(unregister_filesystem(fs.type))


ops = st.lists(st.tuples(st.sampled_from(OPS), st.sampled_from(sorted(PATHS))), min_size=1, max_size=6)


@settings(max_examples=120)
@given(st.integers(0, 2**32), st.lists(ops, min_size=2, max_size=4), st.booleans())
def test_tasks_in_any_order(seed, tasks, fails):
    run(seed, tasks, fails)
