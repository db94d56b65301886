# SPDX-License-Identifier: GPL-2.0-only
"""Direct reads and DAX: past the page cache."""
from __future__ import annotations

import pytest

from kemu.linux.blkdev import BLK_OPEN_READ, bdev_file_open_by_path, file_bdev
from kemu.linux.bvec import BioVec
from kemu.linux.dax import dax_iomap_rw, fs_dax_get_by_bdev, fs_put_dax
from kemu.linux.errno import EINVAL, EIO, EIOCBQUEUED, ENXIO
from kemu.linux.gfp import GFP_KERNEL, alloc_pages
from kemu.linux.highmem import kmap_local_page, kunmap_local
from kemu.linux.include.fs.types import Kiocb
from kemu.linux.iomap import IOMAP_DAX, iomap_dio_rw, iomap_ops
from kemu.linux.mm import page_address
from kemu.linux.port.ramdisk import ramdisk, ramdisk_remove
from kemu.linux.slab import kmalloc
from kemu.linux.types import Ref
from kemu.linux.uio import ITER_DEST, IovIter, Kvec, iov_iter_bvec, iov_iter_kvec, iov_iter_ubuf
from tests.unit.linux.block_files import make_file, open_disk

IMAGE = bytes((i * 13 + (i >> 7)) & 0xFF for i in range(2 << 20))
EXTENTS = [("mapped", 0, 1 << 20, 4096), ("hole", 1 << 20, 8192, 0), ("mapped", (1 << 20) + 8192, 1 << 19, 1 << 20)]
SIZE = (1 << 20) + 8192 + 100_000
WANT = (IMAGE[4096:4096 + (1 << 20)] + bytes(8192) + IMAGE[1 << 20:])[:SIZE]


def direct(file, pos, n, complete=None, it=None):
    out = bytearray(n)
    if it is None:
        it = IovIter()
        iov_iter_ubuf(it, ITER_DEST, out, n)
    iocb = Kiocb()
    iocb.ki_filp, iocb.ki_pos, iocb.ki_complete = file, pos, complete
    got = iomap_dio_rw(iocb, it, file.f_inode.i_private)
    return got, bytes(out[:max(got, 0)]), out


@pytest.mark.parametrize("completion", ["sync", "kworker", "softirq"])
def test_a_direct_read_leaves_the_page_cache_empty(machine, completion):
    disk, bdev_file = open_disk(machine, IMAGE, completion=completion)
    file = make_file(bdev_file, SIZE, EXTENTS)
    got, data, _ = direct(file, 0, 2 << 20)
    assert got == SIZE and data == WANT
    assert file.f_mapping.nrpages == 0 and machine.counters.pages_in_use == 0
    assert machine.counters.bios >= 2 and file.f_inode.i_dio_count == 0
    assert direct(file, 512 * 7, 512)[:2] == (512, WANT[3584:4096])
    assert direct(file, SIZE + 512 & ~511, 512)[0] == 0


def test_alignment(machine):
    disk, bdev_file = open_disk(machine, IMAGE, logical_block_size=1024)
    file = make_file(bdev_file, SIZE, EXTENTS)
    assert direct(file, 512, 1024)[0] == -EINVAL
    assert direct(file, 1024, 1025)[0] == -EINVAL
    assert direct(file, 1024, 1024)[0] == 1024


def test_kernel_buffers_are_read_into_without_a_bounce(machine):
    disk, bdev_file = open_disk(machine, IMAGE)
    file = make_file(bdev_file, SIZE, EXTENTS)
    page = alloc_pages(GFP_KERNEL, 1)
    it = IovIter()
    iov_iter_bvec(it, ITER_DEST, [BioVec(page, 1024, 512), BioVec(page, 4096, 4096)], 2, 5120)
    assert direct(file, 4096, 5120, it=it)[0] == 5120
    assert machine.mem.load(page_address(page) + 512, 1024) == WANT[4096:5120]
    assert machine.mem.load(page_address(page) + 4096, 4096) == WANT[5120:9216]
    assert machine.counters.bytes_to_reader == 0
    buf = kmalloc(8192)
    iov_iter_kvec(it, ITER_DEST, [Kvec(buf, 8192)], 1, 8192)
    assert direct(file, 0, 8192, it=it)[0] == 8192 and machine.mem.load(buf, 8192) == WANT[:8192]
    iov_iter_bvec(it, ITER_DEST, [BioVec(page, 512, 100)], 1, 512)
    assert direct(file, 0, 512, it=it)[0] == -EINVAL        # the device's DMA alignment


@pytest.mark.parametrize("completion", ["kworker", "softirq"])
def test_an_asynchronous_read_says_so_and_completes_later(machine, completion):
    disk, bdev_file = open_disk(machine, IMAGE, completion=completion)
    file = make_file(bdev_file, SIZE, EXTENTS)
    done = []
    got, _, out = direct(file, 0, 65536, complete=lambda iocb, ret: done.append((ret, iocb.ki_pos)))
    assert got == -EIOCBQUEUED and done == [] and out == bytes(65536)
    machine.sched.run_others()
    assert done == [(65536, 65536)] and out == WANT[:65536]


def test_an_asynchronous_error_completes_too(machine):
    disk, bdev_file = open_disk(machine, IMAGE, completion="softirq")
    disk.private_data.bad_sectors = {20}
    file = make_file(bdev_file, SIZE, EXTENTS)
    done = []
    assert direct(file, 0, 65536, complete=lambda iocb, ret: done.append(ret))[0] == -EIOCBQUEUED
    machine.sched.run_others()
    assert done == [-EIO]
    assert direct(file, 0, 65536)[0] == -EIO
    assert direct(file, 65536, 512)[0] == 512
    assert machine.counters.pages_in_use == 0


def test_inline_data_is_read_from_its_page(machine):
    page = alloc_pages(GFP_KERNEL, 0)
    machine.mem.store(page_address(page), b"tail" * 10)
    window = kmap_local_page(page)
    disk, bdev_file = open_disk(machine, IMAGE)
    file = make_file(bdev_file, 4096 + 40, [("mapped", 0, 4096, 0), ("inline", 4096, 40, window)])
    assert direct(file, 0, 4096 + 512)[:2] == (4136, IMAGE[:4096] + b"tail" * 10)
    kunmap_local(window)


# ------------------------------------------------------------------------- DAX

def dax_disk(machine, image=IMAGE, **options):
    disk = ramdisk(machine.place(image), dax=True, **options)
    return disk, bdev_file_open_by_path(f"/dev/{disk.disk_name}", BLK_OPEN_READ, disk)


def dax_file(machine, disk, bdev_file):
    file = make_file(bdev_file, SIZE, EXTENTS)
    start = Ref(0)
    dev = fs_dax_get_by_bdev(file_bdev(bdev_file), start)
    plain = file.f_inode.i_private

    def begin(inode, pos, length, flags, iomap, srcmap):
        assert flags & IOMAP_DAX
        ret = plain.iomap_begin(inode, pos, length, flags, iomap, srcmap)
        iomap.dax_dev = dev
        return ret

    file.f_inode.i_private = iomap_ops(iomap_begin=begin)
    return file, dev


def dax_read(file, pos, n):
    out = bytearray(n)
    it = IovIter()
    iov_iter_ubuf(it, ITER_DEST, out, n)
    iocb = Kiocb()
    iocb.ki_filp, iocb.ki_pos = file, pos
    got = dax_iomap_rw(iocb, it, file.f_inode.i_private)
    return got, bytes(out[:max(got, 0)])


def test_dax_reads_without_pages_bios_or_copies(machine):
    disk, bdev_file = dax_disk(machine)
    file, dev = dax_file(machine, disk, bdev_file)
    assert dax_read(file, 0, 2 << 20) == (SIZE, WANT)
    assert dax_read(file, 5000, 9999) == (9999, WANT[5000:14999])
    assert dax_read(file, SIZE, 1) == (0, b"")
    c = machine.counters
    assert (c.bios, c.bytes_copied, c.folios_cached, c.pages_allocated) == (0, 0, 0, 0)
    fs_put_dax(dev)


def test_a_dead_dax_device_fails(machine):
    disk, bdev_file = dax_disk(machine)
    file, dev = dax_file(machine, disk, bdev_file)
    ramdisk_remove(disk)
    assert dax_read(file, 0, 100)[0] == -ENXIO
    assert fs_dax_get_by_bdev(file_bdev(bdev_file), Ref(0)) is None


def test_dax_only_where_the_disk_has_it(machine):
    disk, bdev_file = open_disk(machine, IMAGE)
    assert fs_dax_get_by_bdev(file_bdev(bdev_file), Ref(0)) is None
    with pytest.raises(ValueError, match="whole pages"):
        ramdisk(machine.place(IMAGE, 512), dax=True)
    with pytest.raises(ValueError, match="whole pages"):
        ramdisk(machine.place(IMAGE[:5000]), dax=True)
