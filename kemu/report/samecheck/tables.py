# SPDX-License-Identifier: GPL-2.0-only
"""The words of the C that lock, warn and fail, and the few operations that they come to."""
from __future__ import annotations

import re

# (pattern of the whole name, lock or unlock, its kind); the lock itself is named by the argument, or by the last column
_LOCKS: tuple[tuple[str, str, str, str], ...] = (
    (r"(_?raw_)?spin_lock(_irq|_irqsave|_bh|_nested|_nest_lock|_irqsave_nested)?", "lock", "spin", ""),
    (r"(_?raw_)?spin_trylock(_irq|_irqsave|_bh)?", "trylock", "spin", ""),
    (r"(_?raw_)?spin_unlock(_irq|_irqrestore|_bh)?", "unlock", "spin", ""),
    (r"d?get_dlock", "", "", ""),
    (r"read_lock(_irq|_irqsave|_bh)?", "lock", "rwlock-read", ""),
    (r"read_unlock(_irq|_irqrestore|_bh)?", "unlock", "rwlock-read", ""),
    (r"write_lock(_irq|_irqsave|_bh)?", "lock", "rwlock-write", ""),
    (r"write_unlock(_irq|_irqrestore|_bh)?", "unlock", "rwlock-write", ""),
    (r"mutex_lock(_nested|_killable|_interruptible|_killable_nested|_io)?", "lock", "mutex", ""),
    (r"mutex_trylock", "trylock", "mutex", ""), (r"mutex_unlock", "unlock", "mutex", ""),
    (r"down_read(_killable|_interruptible|_nested)?", "lock", "rwsem-read", ""),
    (r"down_read_trylock", "trylock", "rwsem-read", ""),
    (r"up_read", "unlock", "rwsem-read", ""),
    (r"down_write(_killable|_nested)?", "lock", "rwsem-write", ""), (r"down_write_trylock", "trylock", "rwsem-write", ""),
    (r"up_write", "unlock", "rwsem-write", ""),
    (r"inode_lock(_nested|_killable)?", "lock", "rwsem-write", "i_rwsem"),
    (r"inode_trylock", "trylock", "rwsem-write", "i_rwsem"),
    (r"inode_unlock", "unlock", "rwsem-write", "i_rwsem"),
    (r"inode_lock_shared(_nested|_killable)?", "lock", "rwsem-read", "i_rwsem"),
    (r"inode_trylock_shared", "trylock", "rwsem-read", "i_rwsem"),
    (r"inode_unlock_shared", "unlock", "rwsem-read", "i_rwsem"),
    (r"filemap_invalidate_lock", "lock", "rwsem-write", "invalidate_lock"),
    (r"filemap_invalidate_unlock", "unlock", "rwsem-write", "invalidate_lock"),
    (r"filemap_invalidate_lock_shared", "lock", "rwsem-read", "invalidate_lock"),
    (r"filemap_invalidate_trylock_shared", "trylock", "rwsem-read", "invalidate_lock"),
    (r"filemap_invalidate_unlock_shared", "unlock", "rwsem-read", "invalidate_lock"),
    (r"i_mmap_lock_(read|write)", "lock", "rwsem-write", "i_mmap_rwsem"),
    (r"i_mmap_unlock_(read|write)", "unlock", "rwsem-write", "i_mmap_rwsem"),
    (r"rcu_read_lock(_sched|_bh)?", "lock", "rcu", "rcu"), (r"rcu_read_unlock(_sched|_bh)?", "unlock", "rcu", "rcu"),
    (r"srcu_read_lock", "lock", "srcu", ""), (r"srcu_read_unlock", "unlock", "srcu", ""),
    (r"xa_lock(_irq|_irqsave|_bh)?", "lock", "spin", "xa_lock"),
    (r"xa_unlock(_irq|_irqrestore|_bh)?", "unlock", "spin", "xa_lock"),
    (r"xas_lock(_irq|_irqsave|_bh)?", "lock", "spin", "xa_lock"),
    (r"xas_unlock(_irq|_irqrestore|_bh)?", "unlock", "spin", "xa_lock"),
    (r"xa_trylock", "trylock", "spin", "xa_lock"),
    (r"hlist_bl_lock", "lock", "bit", "bl"), (r"hlist_bl_unlock", "unlock", "bit", "bl"),
    (r"bit_spin_lock", "lock", "bit", ""), (r"bit_spin_unlock", "unlock", "bit", ""),
    (r"folio_lock(_killable)?|lock_page(_killable)?|__folio_lock(_killable)?", "lock", "folio", "folio"),
    (r"folio_trylock|trylock_page", "trylock", "folio", "folio"),
    (r"folio_unlock|unlock_page", "unlock", "folio", "folio"),
    (r"lock_buffer|__lock_buffer", "lock", "buffer", "buffer"), (r"trylock_buffer", "trylock", "buffer", "buffer"),
    (r"unlock_buffer", "unlock", "buffer", "buffer"),
    (r"read_seqlock_excl", "lock", "spin", ""), (r"read_sequnlock_excl", "unlock", "spin", ""),
    (r"write_seqlock(_irq|_irqsave|_bh)?", "lock", "seq-write", ""),
    (r"write_sequnlock(_irq|_irqrestore|_bh)?", "unlock", "seq-write", ""),
    (r"write_seqcount_begin(_nested)?", "lock", "seq-write", ""), (r"write_seqcount_end", "unlock", "seq-write", ""),
    (r"(raw_)?(__)?read_seqcount_begin|read_seqbegin|raw_seqcount_begin|read_seqbegin_or_lock", "lock", "seq-read", ""),
    (r"read_seqcount_retry|read_seqretry|need_seqretry", "unlock", "seq-read", ""),
    (r"sb_start_write|file_start_write|kiocb_start_write|sb_start_write_trylock|mnt_want_write(_file)?", "lock", "sb-write",
     "sb"),
    (r"sb_end_write|file_end_write|kiocb_end_write|mnt_drop_write(_file)?", "unlock", "sb-write", "sb"),
    (r"percpu_down_read", "lock", "percpu-read", ""), (r"percpu_up_read", "unlock", "percpu-read", ""),
    (r"percpu_down_write", "lock", "percpu-write", ""), (r"percpu_up_write", "unlock", "percpu-write", ""),
    (r"lock_mount_hash", "lock", "spin", "mount_lock"), (r"unlock_mount_hash", "unlock", "spin", "mount_lock"),
    (r"super_unlock_excl", "unlock", "rwsem-write", "s_umount"), (r"super_unlock_shared", "unlock", "rwsem-read", "s_umount"),
    (r"__super_lock_excl", "lock", "rwsem-write", "s_umount"),
    (r"task_lock", "lock", "spin", "alloc_lock"), (r"task_unlock", "unlock", "spin", "alloc_lock"),
    (r"namespace_lock", "lock", "rwsem-write", "namespace_sem"), (r"namespace_unlock", "unlock", "rwsem-write", "namespace_sem"),
)
_LOCK_RE = [(re.compile(p), how, kind, name) for p, how, kind, name in _LOCKS]

# guard(x)(&lock), scoped_guard(x, &lock): taken here and given back at the end of the scope
GUARDS = {"spinlock": "spin", "raw_spinlock": "spin", "spinlock_irq": "spin", "spinlock_irqsave": "spin", "mutex": "mutex",
          "rwsem_read": "rwsem-read", "rwsem_write": "rwsem-write",
          "rcu": "rcu", "srcu": "srcu", "read_lock": "rwlock-read", "write_lock": "rwlock-write", "inode_lock": "rwsem-write",
          "namespace_excl": "rwsem-write",
          "namespace_shared": "rwsem-read", "mount_writer": "spin", "mount_locked_reader": "spin", "super_write": "sb-write",
          "bit_spinlock": "bit",
          "seqlock_init": "", "task_lock": "spin", "raw_spinlock_irq": "spin", "raw_spinlock_irqsave": "spin"}
GUARD_NAMES = {"inode_lock": "i_rwsem", "namespace_excl": "namespace_sem", "namespace_shared": "namespace_sem",
               "mount_writer": "mount_lock",
               "mount_locked_reader": "mount_lock", "super_write": "sb", "rcu": "rcu", "task_lock": "alloc_lock"}

# with CONFIG_DEBUG_VM, CONFIG_DEBUG_VFS and CONFIG_EROFS_FS_DEBUG only: a port may have them
DEBUG = re.compile(r"(VM|VFS|VIRTUAL)_(WARN|BUG)_?\w*|DBG_BUGON")
WARNS = re.compile(r"WARN(_ON|_ONCE|_ON_ONCE|_RATELIMIT|_ON_FOLIO|_ON_ONCE_FOLIO|_ON_INODE|_TAINT)?")
BUGS = re.compile(r"BUG(_ON|_ON_FOLIO|_ON_PAGE|_ON_PGFLAGS|_ON_INODE)?")


def lock_word(name: str) -> tuple[str, str, str] | None:
    """(lock|trylock|unlock, kind, its name if the word says it) of a function that locks; None for any other."""
    for pattern, how, kind, what in _LOCK_RE:
        if pattern.fullmatch(name):
            return (how, kind, what) if how else None
    return None


def warn_word(name: str) -> str:
    """WARN or BUG for a function that warns, DEBUG for one that does so in debugging kernels only, else nothing."""
    if DEBUG.fullmatch(name):
        return "DEBUG"
    if WARNS.fullmatch(name):
        return "WARN"
    return "BUG" if BUGS.fullmatch(name) else ""
