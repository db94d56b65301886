# SPDX-License-Identifier: GPL-2.0-only
"""Which objects of the kernel are linked, and which of their initcalls run. What they need beyond is the runtime's, or a trap."""
from __future__ import annotations

_FS = """namei inode dcache super namespace fs_context fs_parser fs_dirent fsopen file_table open read_write readdir stat xattr
libfs attr file_attr fs_struct init filesystems statfs ioctl pnode mnt_idmapping d_path seq_file posix_acl utimes file
backing-file sync splice bad_inode nullfs fs_pin remap_range char_dev fserror fcntl fs-writeback iomap/buffered-io
iomap/ioend iomap/iter iomap/direct-io iomap/fiemap iomap/bio iomap/seek ramfs/inode ramfs/file-mmu"""
_MM = """page-writeback swap mmzone filemap readahead truncate folio-compat mempool list_lru shrinker shmem util backing-dev
fadvise init-mm workingset memblock"""
_BLOCK = "bio bdev fops blk-map blk-lib blk-core"
_KERNEL = """sched/build_utility locking/mutex locking/rwsem locking/semaphore locking/percpu-rwsem locking/rtmutex_api rcu/sync
task_work cred user groups capability ucount nstree nscommon nsproxy time/time time/timeconv params pid umh"""
_LIB = """lockref xarray radix-tree idr find_bit vsprintf hexdump kstrtox ctype string string_helpers xxhash bitmap uuid
math/div64 math/int_sqrt iov_iter list_sort sort argv_split cmdline parser rbtree llist percpu-refcount ratelimit
siphash hweight bitrev errseq refcount maple_tree base64 kobject kasprintf rhashtable usercopy rcuref flex_proportions
crc/crc32-main lz4/lz4_decompress lzo/lzo1x_decompress_safe decompress decompress_inflate decompress_bunzip2
decompress_unlzma decompress_unxz decompress_unlzo decompress_unlz4 decompress_unzstd"""
_INIT = "init_task initramfs do_mounts do_mounts_initrd"

# single objects, "DIR/NAME.o"
OBJECTS = tuple(f"{folder}/{name}.o" for folder, names in (
    ("fs", _FS), ("mm", _MM), ("block", _BLOCK), ("kernel", _KERNEL), ("lib", _LIB), ("init", _INIT),
    ("drivers/base", "map firmware"), ("security", "commoncap")) for name in names.split())

# folders of which everything is linked that the configuration has
FOLDERS = ("fs/erofs", "fs/kernfs", "fs/sysfs", "lib/zlib_inflate", "lib/xz", "lib/zstd")

# initcalls, by their functions, in the order of their levels
INITCALLS = ("default_bdi_init", "init_bio", "uid_cache_init", "fserror_init", "backing_aio_init", "init_ramfs_fs",
             "iomap_ioend_init", "workingset_init", "blkdev_init", "fcntl_init", "erofs_module_init")

# what is under test, of which coverage is told
UNDER_TEST = ("fs/erofs/", "init/initramfs")
