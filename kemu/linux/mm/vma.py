# SPDX-License-Identifier: GPL-2.0-only
"""Mappings of files, each for itself: there is no address space that they are in (mm/vma.c)."""
from __future__ import annotations

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EACCES, EINVAL, ENODEV
from kemu.linux.include.fs.calls import get_file
from kemu.linux.include.fs.constants import FMODE_READ
from kemu.linux.include.fs.types import File
from kemu.linux.include.mm import PAGE_ALIGN
from kemu.linux.include.mm_types import VM_MAYEXEC, VM_MAYREAD, VM_MAYWRITE, VM_READ, vm_area_desc, vm_area_struct
from kemu.linux.port.honesty import custom

C = "mm/vma.c"
AT = 0x10000000


@custom(C, "remove_vma", "it is in no tree")
def remove_vma(vma: vm_area_struct) -> None:
    """``void remove_vma(struct vm_area_struct *vma)``: the mapping's end; its reference of the file goes."""
    from kemu.linux.fs.file_table import fput  # noqa: PLC0415  (up into fs/file_table.c)

    if vma.vm_ops is not None and vma.vm_ops.close is not None:
        vma.vm_ops.close(vma)
    fput(vma.vm_file)


@custom(C, "mmap_region", "private and read-only; not in the tree of a mm")
def mmap_region(file: File, length: int) -> vm_area_struct:
    """``unsigned long mmap_region(struct file *file, unsigned long addr, unsigned long len, ...)``, after do_mmap()'s questions.

    Return: the mapping, or an error pointer: -EINVAL for no length, -EACCES, -ENODEV where a file cannot be mapped, what
    ->mmap_prepare or ->mmap says.
    """
    if not length:
        return ERR_PTR(-EINVAL)
    if not file.f_mode & FMODE_READ:
        return ERR_PTR(-EACCES)
    if file.f_op.mmap is None and file.f_op.mmap_prepare is None:               # can_mmap_file()
        return ERR_PTR(-ENODEV)
    vma = vm_area_struct(get_file(file), AT, AT + PAGE_ALIGN(length), VM_READ | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)
    if file.f_op.mmap_prepare is not None:
        desc = vm_area_desc(vma)
        err = file.f_op.mmap_prepare(desc)
        vma.vm_ops = desc.vm_ops
        vma.vm_flags = desc.vma_flags
    else:
        err = file.f_op.mmap(file, vma)
    if err:
        remove_vma(vma)
        return ERR_PTR(err)
    return vma
