// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading through a mapping. There is no mm/memory.c here: what do_read_fault() and its __do_fault() do for one page of a private,
 * read-only mapping is done once for each page, and nothing stays mapped. No fault-around, no mmap_lock that is dropped for I/O.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/security.h>
#include "runtime.h"

#define AT	0x10000000ul		/* where it would be in user space */

static const vm_flags_t PRIVATE = VM_READ | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;

/* As mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0): a vm_area_struct, or -errno. */
long kemu_sys_map(int fd, unsigned long len)
{
	CLASS(fd, f)(fd);
	struct file *file = fd_file(f);
	struct vm_area_struct *vma;
	int err;

	if (!file)
		return -EBADF;
	if (!len)
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ))
		return -EACCES;
	if (!can_mmap_file(file))
		return -ENODEV;
	vma = kzalloc(sizeof(*vma), GFP_KERNEL | __GFP_NOFAIL);
	vma->vm_mm = &init_mm;
	vma->vm_start = AT;
	vma->vm_end = AT + PAGE_ALIGN(len);
	vm_flags_init(vma, PRIVATE);
	vma->vm_file = get_file(file);
	if (file->f_op->mmap_prepare) {
		struct vm_area_desc desc = {
			.mm = vma->vm_mm,
			.file = file,
			.start = vma->vm_start,
			.end = vma->vm_end,
			.vm_file = file,
			.vma_flags = vma->flags,
		};

		err = vfs_mmap_prepare(file, &desc);
		vma->vm_ops = desc.vm_ops;
	} else {
		err = vfs_mmap(file, vma);
	}
	if (err) {
		fput(vma->vm_file);
		kfree(vma);
		return err;
	}
	return (long)vma;
}

/* One page of it: 0, or -EFAULT where a reader gets SIGBUS. */
int kemu_map_copy(void *map, unsigned long at, void *to, unsigned long len)
{
	struct vm_area_struct *vma = map;
	struct vm_fault vmf = {
		.vma = vma,
		.gfp_mask = mapping_gfp_mask(vma->vm_file->f_mapping) | __GFP_FS | __GFP_IO,
		.pgoff = linear_page_index(vma, vma->vm_start + at),
		.address = vma->vm_start + (at & PAGE_MASK),
		.real_address = vma->vm_start + at,
		.flags = FAULT_FLAG_USER,
	};
	vm_fault_t ret = vma->vm_ops && vma->vm_ops->fault ? vma->vm_ops->fault(&vmf) : VM_FAULT_SIGBUS;

	if (ret & (VM_FAULT_ERROR | VM_FAULT_NOPAGE | VM_FAULT_RETRY | VM_FAULT_DONE_COW))
		return -EFAULT;
	if (!(ret & VM_FAULT_LOCKED))
		lock_page(vmf.page);
	memcpy_from_page(to, vmf.page, offset_in_page(at), len);
	unlock_page(vmf.page);
	put_page(vmf.page);
	kemu_reclaim();
	return 0;
}

/* As munmap(). */
void kemu_map_end(void *map)
{
	struct vm_area_struct *vma = map;

	if (vma->vm_ops && vma->vm_ops->close)
		vma->vm_ops->close(vma);
	fput(vma->vm_file);
	kfree(vma);
}
