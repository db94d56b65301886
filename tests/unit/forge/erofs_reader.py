# SPDX-License-Identifier: GPL-2.0-only
"""A small reader of EROFS images (plain, inline, chunk, LZ4 with full and compact indexes or extent records), written from
fs/erofs/*.c for these tests.

It shares nothing with the writer: not even the structure definitions. Fragments, metabox, other devices and other algorithms are
refused with Unsupported.
"""
from __future__ import annotations

import hashlib
import struct
from typing import Any

import lz4.block


class Unsupported(Exception):
    """A feature that this reader does not know."""


class Corrupt(Exception):
    """What the kernel would answer with EUCLEAN."""


class Reader:
    """One image on a kernel with any page size."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        sb = 1024
        if self.u32(sb) != 0xE0F5E1E2:
            raise Corrupt("magic")
        self.bits = data[sb + 12]
        self.bs = 1 << self.bits
        self.incompat = self.u32(sb + 80)
        if self.incompat & (0x100 | 0x40) or (self.incompat & 0x20 and self.u64(sb + 96)):
            raise Unsupported(f"features {self.incompat:#x}")
        slots, count = self.u16(sb + 88) * 128, self.u16(sb + 86) if self.incompat & 8 else 0
        self.uniaddr = [0] + [self.u32(slots + 128 * k + 68) for k in range(count)]
        self.idmask = (1 << count.bit_length()) - 1 if count else 0
        if count and (self.u32(slots + 68) + self.u32(slots + 64)) * self.bs > len(data):
            raise Unsupported("extra devices in files of their own")
        self.root = self.u64(sb + 112) if self.incompat & 0x80 and self.u64(sb + 112) else self.u16(sb + 14)
        self.epoch = struct.unpack_from("<q", data, sb + 24)[0]
        self.nsec = self.u32(sb + 32)
        self.meta = self.u32(sb + 40) << self.bits
        self.xattr = self.u32(sb + 44) << self.bits
        if self.incompat & 2 and self.u16(sb + 84) & ~1:
            raise Unsupported("algorithms other than LZ4")

    def u16(self, at: int) -> int:
        return struct.unpack_from("<H", self.data, at)[0]

    def u32(self, at: int) -> int:
        return struct.unpack_from("<I", self.data, at)[0]

    def u64(self, at: int) -> int:
        return struct.unpack_from("<Q", self.data, at)[0]

    def inode(self, nid: int) -> dict[str, Any]:
        pos = self.meta + nid * 32
        fmt, icount, mode, nb = struct.unpack_from("<4H", self.data, pos)
        i: dict[str, Any] = {"pos": pos, "mode": mode, "layout": fmt >> 1 & 7, "isize": 64 if fmt & 1 else 32,
                             "xsize": 12 + 4 * (icount - 1) if icount else 0, "u": self.u32(pos + 16), "bit4": fmt >> 4 & 1}
        if fmt & 1:
            i["size"], i["uid"], i["gid"] = self.u64(pos + 8), self.u32(pos + 24), self.u32(pos + 28)
            i["mtime"] = [struct.unpack_from("<q", self.data, pos + 32)[0], self.u32(pos + 40)]
            i["nlink"], i["startblk"] = self.u32(pos + 44), i["u"] | nb << 32
        else:
            i["size"], i["uid"], i["gid"] = self.u32(pos + 8), self.u16(pos + 24), self.u16(pos + 26)
            i["mtime"] = [self.epoch + self.u32(pos + 12), self.nsec]
            one = i["bit4"] and mode >> 12 != 4
            i["nlink"], i["startblk"] = (1, i["u"] | nb << 32) if one else (nb, i["u"])
            i["mask"] = 48 if one else 32
        i["mask"] = i.get("mask", 48)
        return i

    # data

    def read(self, i: dict[str, Any]) -> bytes:
        size, bs, layout = i["size"], self.bs, i["layout"]
        end = i["pos"] + i["isize"] + i["xsize"]
        if not size:
            return b""
        if layout == 0:
            if i["startblk"] == (1 << i["mask"]) - 1:
                return bytes(size)
            return self.data[i["startblk"] * bs:][:size]
        if layout == 2:
            blocks = (size + bs - 1) // bs - 1
            tail = size - blocks * bs
            if end % bs + tail > bs:
                raise Corrupt("inline data across blocks")
            return self.data[i["startblk"] * bs:][:blocks * bs] + self.data[end:end + tail]
        if layout == 4:
            return self._chunks(i, end)
        if layout == 1 and self.u16(-(-end // 8) * 8 + 4) & 1 and not self.data[-(-end // 8) * 8 + 7] & 0x80:
            return self._extents(i, end)
        return self._compressed(i, end)

    def _extents(self, i: dict[str, Any], end: int) -> bytes:
        header = -(-end // 8) * 8
        advise = self.u16(header + 4)
        recsz = 4 << (advise >> 1 & 3)
        if advise & 0x20:
            raise Unsupported("fragments")
        at = -(-(header + 8) // recsz) * recsz
        lsize = self.bs << (self.data[header + 7] & 15)
        count = -(-i["size"] // lsize) if recsz <= 8 else self.u32(header)
        records = []
        pa = 0
        if recsz == 4:
            pa = self.u64(at)
            at += 8
        for n in range(count):
            plen, *rest = struct.unpack_from(f"<{min(recsz, 20) // 4}I", self.data, at + recsz * n)
            if recsz == 4:
                records.append((n * lsize, plen, pa))
                pa += plen & 0x1FFFFF
            elif recsz == 8:
                records.append((n * lsize, plen, rest[0]))
            else:
                records.append((rest[2] | (rest[3] << 32 if recsz == 32 else 0), plen, rest[0] | rest[1] << 32))
        out = bytearray()
        for n, (la, word, pa) in enumerate(records):
            length = (records[n + 1][0] if n + 1 < count else i["size"]) - la
            plen, algorithm = word & 0x1FFFFF, word >> 28
            if la != len(out) or algorithm > 1:
                raise Unsupported("algorithms other than LZ4, or extents with gaps")
            raw = self.data[pa:pa + plen]
            if not plen:
                out += bytes(length)
            elif algorithm:
                out += lz4.block.decompress(raw.lstrip(b"\0"), uncompressed_size=1 << 22 if word >> 27 & 1 else length)[:length]
            elif advise & 0x10 and not (pa | plen) % self.bs:
                first = min(self.bs - la % self.bs, length)
                start = plen - (self.bs - la % self.bs)
                out += raw[start:start + first] + raw[:length - first]
            else:
                out += raw[:length]
        return bytes(out)

    def _chunks(self, i: dict[str, Any], end: int) -> bytes:
        if i["u"] & 0x40 and self.bs * 0xFFFFFFFF < len(self.data):
            raise Unsupported("48-bit chunks")
        unit = 8 if i["u"] & 0x20 else 4
        cs = self.bs << (i["u"] & 31)
        at = -(-end // unit) * unit
        out = bytearray()
        for n in range(-(-i["size"] // cs)):
            blk = self.u32(at + unit * n + (4 if unit == 8 else 0))
            if unit == 8 and blk != 0xFFFFFFFF:
                blk += self.uniaddr[self.u16(at + 8 * n + 2) & self.idmask]
            out += bytes(cs) if blk == 0xFFFFFFFF else self.data[blk * self.bs:][:cs].ljust(cs, b"\0")
        return bytes(out[:i["size"]])

    def extents(self, i: dict[str, Any]) -> list[tuple[int, int, int, int]]:
        """(la, type, pblk, blocks) of every head, from the lclusters one by one."""
        return self._heads(i, i["pos"] + i["isize"] + i["xsize"])[0]

    def _heads(self, i: dict[str, Any], end: int) -> tuple[list[tuple[int, int, int, int]], int, int, int]:
        header = -(-end // 8) * 8
        idata, advise, algo, cbits = self.u16(header + 2), self.u16(header + 4), self.data[header + 6], self.data[header + 7]
        if cbits & 0x80 or advise & 0x20 or (i["layout"] == 1 and advise & 1) or algo:
            raise Unsupported("fragments, extents or other algorithms")
        lbits = self.bits + (cbits & 15)
        total = -(-i["size"] // (1 << lbits))
        load = self._full if i["layout"] == 1 else self._compact
        heads: list[tuple[int, int, int, int]] = []
        next_pack = 0
        for lcn in range(total):
            kind, lo, pblk, next_pack = load(i, header + 8, lcn, lbits, advise)
            if kind & 3 != 2:
                if lo >= 1 << lbits:
                    raise Corrupt("clusterofs")
                heads.append((lcn << lbits | lo, kind, pblk, 0 if kind & 0x4000 else 1))
            elif lo & 0x800 and heads and heads[-1][0] >> lbits == lcn - 1:
                la, k, p, n = heads[-1]
                if not k & 0x4000:
                    heads[-1] = (la, k, p, lo & 0x7FF)
        heads = [h for h in heads if h[0] < i["size"]]         # a last head may mark EOF
        return heads, advise, idata if advise & 8 else 0, next_pack

    def _full(self, i: dict[str, Any], base: int, lcn: int, lbits: int, advise: int) -> tuple[int, int, int, int]:
        at = base + 8 + 8 * lcn
        kind, ofs, blk = struct.unpack_from("<HHI", self.data, at)
        return (kind, blk & 0xFFFF, 0, at + 8) if kind & 3 == 2 else (kind, ofs, blk, at + 8)

    def _compact(self, i: dict[str, Any], base: int, lcn: int, lbits: int, advise: int) -> tuple[int, int, int, int]:
        blocks = -(-i["size"] // self.bs)
        initial = (32 - base % 32) // 4 & 7
        twos = (blocks - initial) // 16 * 16 if advise & 1 and initial < blocks else 0
        if lcn < initial:
            pos, unit = base + 4 * lcn, 4
        elif lcn < initial + twos:
            pos, unit = base + 4 * initial + 2 * (lcn - initial), 2
        else:
            pos, unit = base + 4 * initial + 2 * twos + 4 * (lcn - initial - twos), 4
        count = 2 if unit == 4 else 16
        pack = pos // (count * unit) * (count * unit)
        lobits = max(lbits, 12)
        width = (count * unit - 4) * 8 // count
        word = int.from_bytes(self.data[pack:pack + count * unit - 4], "little")
        entries = [(word >> width * k >> lobits & 3, word >> width * k & (1 << lobits) - 1) for k in range(count)]
        at = (pos - pack) // unit
        kind, lo = entries[at]
        # the blocks of the pclusters before this one that the pack's base address does not include yet
        big = advise & 2
        n = 0 if big else 1
        k = at
        while kind != 2 and k > 0:
            k -= 1
            t, v = entries[k]
            if t != 2:
                n += 1
            elif not big:
                k -= v
                n += k >= 0
            elif v & 0x800:
                k -= 1
                n += v & 0x7FF
            else:
                if v <= 1:
                    raise Corrupt("distance to the head in a big pcluster")
                k -= v - 2
        return kind, lo, (self.u32(pack + count * unit - 4) + n) & 0xFFFFFFFF, pack + count * unit

    def _compressed(self, i: dict[str, Any], end: int) -> bytes:
        heads, advise, idata, next_pack = self._heads(i, end)
        out = bytearray()
        for n, (la, kind, pblk, blocks) in enumerate(heads):
            stop = heads[n + 1][0] if n + 1 < len(heads) else i["size"]
            length = stop - la
            inline = idata and n + 1 == len(heads)
            if la != len(out):
                raise Corrupt("extents with a gap")
            if kind & 0x4000:
                out += bytes(length)
                continue
            raw = self.data[next_pack:next_pack + idata] if inline else self.data[pblk * self.bs:(pblk + blocks) * self.bs]
            if inline and next_pack % self.bs + idata > self.bs:
                raise Corrupt("inline pcluster across blocks")
            if kind & 3 == 0:
                if length > len(raw):
                    raise Corrupt("not enough plain data")
                if advise & 0x10 and not inline:
                    off = la % self.bs
                    raw = raw[off:] + raw[:off]
                out += raw[:length]
            else:
                packed = raw.lstrip(b"\0")
                if len(raw) - len(packed) >= self.bs:
                    raise Corrupt("compressed data start not found")
                room = length if not kind & 0x8000 else 1 << 22
                out += lz4.block.decompress(packed, uncompressed_size=room)[:length]
        return bytes(out)

    # tree

    def names(self, i: dict[str, Any]) -> list[tuple[bytes, int, int]]:
        data = self.read(i)
        out = []
        for at in range(0, len(data), self.bs):
            block = data[at:at + self.bs]
            count = struct.unpack_from("<H", block, 8)[0] // 12
            offs = [struct.unpack_from("<QHB", block, 12 * k) for k in range(count)]
            for k, (nid, off, ft) in enumerate(offs):
                stop = offs[k + 1][1] if k + 1 < count else len(block)
                out.append((block[off:stop].split(b"\0")[0] if k + 1 == count else block[off:stop], nid, ft))
        return out

    def xattrs(self, i: dict[str, Any]) -> dict[str, str]:
        prefixes = {1: b"user.", 2: b"system.posix_acl_access", 3: b"system.posix_acl_default", 4: b"trusted.", 6: b"security."}
        out: dict[str, str] = {}
        if not i["xsize"]:
            return out
        base = i["pos"] + i["isize"]
        shared = self.data[base + 4]
        places = [self.xattr + 4 * self.u32(base + 12 + 4 * k) for k in range(shared)]
        at = base + 12 + 4 * shared
        while at < base + i["xsize"]:
            places.append(at)
            at += -(-(4 + self.data[at] + self.u16(at + 2)) // 4) * 4
        for p in places:
            nlen, index, vlen = self.data[p], self.data[p + 1], self.u16(p + 2)
            if index not in prefixes:
                raise Unsupported("xattr prefixes")
            name = prefixes[index] + self.data[p + 4:p + 4 + nlen]
            out[name.decode("utf-8", "surrogateescape")] = self.data[p + 4 + nlen:p + 4 + nlen + vlen].hex()
        return dict(sorted(out.items()))

    def manifest(self) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        kinds = {1: "fifo", 2: "char", 4: "dir", 6: "block", 8: "file", 10: "symlink", 12: "socket"}

        def visit(path: bytes, nid: int) -> None:
            i = self.inode(nid)
            kind = kinds[i["mode"] >> 12]
            r = i["u"]
            out.append({
                "path": path.decode("utf-8", "surrogateescape"), "type": kind, "mode": i["mode"] & 0o7777, "uid": i["uid"],
                "gid": i["gid"], "size": i["size"], "nlink": i["nlink"], "mtime": i["mtime"],
                "rdev": [r >> 8 & 0xFFF, r & 0xFF | r >> 12 & 0xFFF00] if kind in ("char", "block") else None,
                "target": self.read(i).decode("utf-8", "surrogateescape") if kind == "symlink" else None,
                "xattrs": self.xattrs(i), "sha256": hashlib.sha256(self.read(i)).hexdigest() if kind == "file" else None,
                "error": None})
            if kind == "dir":
                names = self.names(i)
                assert [n for n, _, _ in names] == sorted(n for n, _, _ in names)
                for name, child, _ in names:
                    if name not in (b".", b".."):
                        visit(path.rstrip(b"/") + b"/" + name, child)

        visit(b"/", self.root)
        return sorted(out, key=lambda e: b"" if e["path"] == "/" else e["path"].encode("utf-8", "surrogateescape"))
