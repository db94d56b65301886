# SPDX-License-Identifier: GPL-2.0-only
"""Which objects of the kernel are linked, and which of their initcalls run. What they need beyond is the runtime's, or a trap."""
from __future__ import annotations

from pathlib import Path

_FS = """namei inode dcache super namespace fs_context fs_parser fs_dirent fsopen file_table open read_write readdir stat xattr libfs
attr file_attr fs_struct init filesystems statfs ioctl pnode mnt_idmapping d_path seq_file posix_acl utimes file backing-file sync
splice bad_inode nullfs fs_pin remap_range char_dev fserror fcntl fs-writeback"""
_LIB = """lockref xarray radix-tree idr find_bit vsprintf hexdump kstrtox ctype string string_helpers xxhash bitmap uuid math/div64
math/int_sqrt iov_iter list_sort sort argv_split cmdline parser rbtree llist percpu-refcount ratelimit siphash hweight bitrev
errseq refcount maple_tree base64 kobject kasprintf rhashtable usercopy rcuref flex_proportions"""
_KERNEL = """sched/build_utility locking/mutex locking/rwsem locking/semaphore locking/percpu-rwsem locking/rtmutex_api rcu/sync
task_work cred user groups capability ucount nstree nscommon nsproxy time/time time/timeconv params pid"""
_MM = "page-writeback swap mmzone filemap readahead truncate folio-compat mempool list_lru shrinker shmem util backing-dev fadvise init-mm workingset"

# objects by name, "DIR/NAME" without suffix
ALWAYS = [*(f"fs/{n}" for n in _FS.split()), *(f"lib/{n}" for n in _LIB.split()), *(f"kernel/{n}" for n in _KERNEL.split()),
          *(f"mm/{n}" for n in _MM.split()),
          *(f"fs/iomap/{n}" for n in "buffered-io ioend iter direct-io fiemap bio seek".split()),
          "fs/ramfs/inode", "fs/ramfs/file-mmu", "block/bio", "block/bdev", "block/fops", "block/blk-map", "block/blk-lib",
          "block/blk-core", "drivers/base/map", "init/init_task", "init/do_mounts", "security/commoncap", "lib/lz4/lz4_decompress", "lib/lzo/lzo1x_decompress_safe",
          "lib/crc/crc32-main"]
# all objects that kbuild makes of these folders, out of their sources
FOLDERS = ["fs/erofs", "fs/kernfs", "fs/sysfs", "lib/zlib_inflate", "lib/xz", "lib/zstd/common", "lib/zstd/decompress"]
DECOMPRESSORS = ["decompress", "decompress_inflate", "decompress_bunzip2", "decompress_unlzma", "decompress_unxz", "decompress_unlzo",
                 "decompress_unlz4", "decompress_unzstd"]
MORE = ["init/initramfs", "lib/zstd/zstd_common_module", "lib/zstd/zstd_decompress_module", *(f"lib/{n}" for n in DECOMPRESSORS)]

# initcalls by the function's name; the order is the levels' and the files'
INITCALLS = ["default_bdi_init", "init_bio", "uid_cache_init", "fserror_init", "backing_aio_init", "init_ramfs_fs", "iomap_ioend_init",
             "workingset_init", "blkdev_init", "fcntl_init", "erofs_module_init"]


def candidates(source: Path) -> list[str]:
    """All objects that may be made of a tree's sources; kbuild knows which of them the configuration has."""
    out = [*ALWAYS, *MORE]
    for folder in FOLDERS:
        out += [f"{folder}/{p.stem}" for p in sorted((source / folder).glob("*.c"))]
    return out
