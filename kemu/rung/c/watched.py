# SPDX-License-Identifier: GPL-2.0-only
"""What the objects under test call outside of themselves, by way of a trampoline each: the runtime is told of the call, and may
let it fail. The objects are copies with these symbols renamed; nothing else of the kernel is called otherwise than before.
"""
from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from kemu.rung.c.sources import UNDER_TEST
from kemu.rung.c.stubs import run
from kemu.rung.uml.cache import write_whole

PREFIX = "kemu_w_"
# the compiler's and the sanitizers', and what is called so often, and so harmlessly, that nobody wants to know
_LEAVE = ("__asan", "__ubsan", "__sanitizer", "__x86", "kemu_", "mem", "str", "_printk", "__stack", "__fentry", "snprintf",
          "sprintf", "__cond_resched", "warn_slowpath", "refcount_warn", "panic", "___migrate", "LZ4_", "xxh32", "crc32c",
          "host_", "__SCT", "__SCK")

# what may be told that it failed, besides allocations and reads of a disk: int -errno, an error pointer, or NULL (no room, not
# taken, not there)
INT = frozenset("""init_chmod init_chown init_link init_mkdir init_mknod init_rmdir init_stat init_symlink init_unlink init_utimes
vfs_fchmod vfs_fchown vfs_truncate vfs_utimes kernel_write vfs_iocb_iter_read rw_verify_area register_filesystem kset_register
kobject_set_name super_setup_bdi get_tree_bdev_flags get_tree_nodev sysfs_create_bin_file idr_alloc filemap_add_folio hex2bin
iomap_dio_rw iomap_fiemap vfs_fadvise init_pseudo shrinker_register sb_set_blocksize xa_alloc out_of_line_wait_on_bit_lock
zlib_inflateInit2 zlib_inflate zlib_inflateEnd zstd_decompress_stream raw_copy_to_user __clear_user""".split())
POINTER = frozenset("""backing_file_open bdev_file_open_by_path filp_open kern_mount read_cache_folio posix_acl_from_xattr
d_splice_alias kobject_create_and_add __filemap_get_folio_mpol""".split())
NULL = frozenset("""igrab iget5_locked new_inode shrinker_alloc alloc_workqueue_noprof vmap vm_map_ram kstrdup kstrndup
kmemdup_nul __kmem_cache_create_args xz_dec_microlzma_alloc zstd_init_dstream mutex_trylock bio_add_page bio_add_folio
lockref_get_not_zero xa_load""".split())
_TRAMPOLINES = """
	.globl {p}{name}
	.hidden {p}{name}
	.type {p}{name}, @function
{p}{name}:
	pushq %rbp
	movq %rsp, %rbp
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %r8
	pushq %r9
	pushq %rax
	subq $8, %rsp
	movq %rdi, %rsi
	movq 8(%rbp), %rdx
	movl ${id}, %edi
	call kemu_called
	testl %eax, %eax
	leaq 8(%rsp), %rsp
	popq %rax
	popq %r9
	popq %r8
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	popq %rbp
	jne 1f
	jmp {name}
1:	movq {failed}, %rax
	ret
	.size {p}{name}, . - {p}{name}
"""


def redirected(objects: Path, files: Sequence[Path], runtime: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The files to link instead, with the trampolines at the end, and the names of what is called, by their numbers."""
    tested = [f for f in files if str(f.relative_to(objects)).startswith(UNDER_TEST)]
    others = [f for f in files if f not in set(tested)]
    wanted = _symbols(tested, "U") - _symbols(tested, "TtWDdBbRrV")
    there = _symbols([*others, *runtime], "TW")
    names = sorted(n for n in wanted & there if not n.startswith(_LEAVE))
    folder = objects / "kemu-runtime" / "watched"
    folder.mkdir(exist_ok=True, parents=True)
    renames = folder / "renames"
    write_whole(renames, "".join(f"{n} {PREFIX}{n}\n" for n in names))
    out = list(others)
    for file in tested:
        copy = folder / str(file.relative_to(objects)).replace("/", "-")
        run(["objcopy", f"--redefine-syms={renames}", str(file), str(copy)], objects)
        out.append(copy)
    text = "\t.text\n" + "".join(_TRAMPOLINES.format(p=PREFIX, name=n, id=i, failed=failed(n)) for i, n in enumerate(names))
    write_whole(folder / "trampolines.s", text + "\t.section .note.GNU-stack,\"\",@progbits\n")
    run(["gcc", "-c", "-o", str(folder / "trampolines.o"), str(folder / "trampolines.s")], objects)
    return [*out, folder / "trampolines.o"], names


def failed(name: str) -> str:
    """What a call that fails gives back, as an operand."""
    return "$0" if name in NULL else "kemu_failed_with(%rip)"


def gives_errno(name: str) -> bool:
    """Whether one that fails says why."""
    return name in INT or name in POINTER


def fallible(name: str) -> bool:
    """Whether it may be told so."""
    return name in INT or name in POINTER or name in NULL


def _symbols(files: Iterable[Path], kinds: str) -> set[str]:
    done = subprocess.run(["nm", *map(str, files)], capture_output=True, text=True)
    out = set()
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) >= 2 and words[-2] in kinds:
            out.add(words[-1])
    return out
