# SPDX-License-Identifier: GPL-2.0-only
"""The LZMA2 data of a block of xz, decoded by liblzma for as long as it finds nothing wrong.

liblzma sees nothing but LZMA2 chunks whose headers Linux's rules have accepted beforehand. Where it refuses the rest, Linux's own decoder
does the block again: its first bytes, which were given already, are dropped.
"""
from __future__ import annotations

from kemu.linux.decompress.xz_dec import VLI_UNKNOWN, XZ_OK, XZ_STREAM_END, Lzma2, XzDec
from kemu.linux.honesty import custom
from kemu.machine.hostmodule import host_module

lzma = host_module("lzma", "xz")

PIECE = 1 << 16
LZMA_PROPS_MAX = (4 * 5 + 4) * 9 + 8


@custom("lib/xz/xz_dec_lzma2.c", "xz_dec_lzma2_run", "the control layer alone: sizes of all chunks, before any is decoded")
def chunks(data: bytes, pos: int) -> tuple[int, int] | None:
    """Where the chunks at ``pos`` end, and how many bytes they decode to; None if Linux would refuse a chunk's header or they are cut."""
    need_dict_reset, need_props = True, False
    size = 0
    while pos < len(data):
        control = data[pos]
        if control == 0:
            return pos + 1, size
        if control >= 0xE0 or control == 1:
            need_props = True
            need_dict_reset = False
        elif need_dict_reset:
            return None
        if control >= 0x80:
            if pos + 6 > len(data):
                return None
            compressed = (data[pos + 3] << 8) + data[pos + 4] + 1
            size += ((control & 0x1F) << 16) + (data[pos + 1] << 8) + data[pos + 2] + 1
            pos += 5
            if control >= 0xC0:
                need_props = False
                pb_lp, lc = divmod(data[pos], 9)
                if data[pos] > LZMA_PROPS_MAX or lc + pb_lp % 5 > 4:
                    return None
                pos += 1
            elif need_props:
                return None
            if compressed < 5:
                return None
        else:
            if control > 2 or pos + 3 > len(data):
                return None
            compressed = (data[pos + 1] << 8) + data[pos + 2] + 1
            size += compressed
            pos += 3
        pos += compressed
    return None


@custom("lib/xz/xz_dec_lzma2.c", "struct xz_dec_lzma2", "liblzma decodes; all the input of a block counts as consumed with its last byte")
class QuickLzma2:
    """``struct xz_dec_lzma2`` of one block."""

    def __init__(self, s: XzDec, dict_size: int, end: int, size: int):
        self.s = s
        self.dict_size = dict_size
        self.begin, self.end, self.left = s.in_pos, end, size
        self.fed = s.in_pos
        self.calls: list[int] = []
        self.ready = memoryview(b"")
        self.port: Lzma2 | None = None
        self.d = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": dict_size}])

    def run(self) -> int:
        """``xz_dec_lzma2_run()``"""
        if self.port is not None:
            return self.port.run()
        s = self.s
        start = len(s.out)
        while self.left and len(s.out) < s.out_size:
            if not self.ready and not self._more():
                return self._again(start)
            n = min(len(self.ready), s.out_size - len(s.out))
            s.out += self.ready[:n]
            self.ready = self.ready[n:]
            self.left -= n
        if not self.left:
            # the end marker: everything must be used up then
            if len(self.ready) or self._more() or not self.d.eof or self.fed < self.end or self.d.unused_data:
                return self._again(start)
            s.in_pos = self.end
            return XZ_STREAM_END
        self.calls.append(len(s.out) - start)
        return XZ_OK

    def _more(self) -> bool:
        """Decode some more; False if there is none."""
        d = self.d
        try:
            while not d.eof:
                if d.needs_input:
                    if self.fed >= self.end:
                        return False
                    chunk = self.s.data[self.fed:min(self.fed + PIECE, self.end)]
                    self.fed += len(chunk)
                else:
                    chunk = b""
                out = d.decompress(chunk, PIECE)
                if out:
                    self.ready = memoryview(out)
                    return True
        except lzma.LZMAError:
            pass                    # eof stays False
        return False

    def _again(self, start: int) -> int:
        """Linux's decoder from the block's first byte: what earlier calls gave is decoded in the same portions, and dropped."""
        s = self.s
        del s.out[start:]
        s.in_pos = self.begin
        port = Lzma2(s, self.dict_size)
        out, out_size = s.out, s.out_size
        for n in self.calls:
            s.out, s.out_size = bytearray(), n
            port.run()
        s.out, s.out_size = out, out_size
        self.port = port
        return port.run()


def quick_lzma2(s: XzDec, dict_size: int) -> QuickLzma2 | None:
    """liblzma for the block that begins at ``s.in_pos``, if the headers of its chunks are as Linux wants them and the sizes as they were announced."""
    found = chunks(s.data, s.in_pos)
    if found is None:
        return None
    end, size = found
    if s.want_compressed not in (VLI_UNKNOWN, end - s.in_pos) or s.want_uncompressed not in (VLI_UNKNOWN, size):
        return None
    return QuickLzma2(s, dict_size, end, size)
