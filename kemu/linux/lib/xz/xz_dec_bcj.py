# SPDX-License-Identifier: GPL-2.0-only
"""Branch/call/jump filters of xz (lib/xz/xz_dec_bcj.c). Which of them there are is CONFIG_XZ_DEC_*."""
from __future__ import annotations

import re
from collections.abc import Callable
from struct import pack_into, unpack_from
from typing import Any

from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.port.honesty import dup, port_of
from kemu.linux.types import u32
from kemu.linux.xz import XZ_OK, XZ_OPTIONS_ERROR, XZ_STREAM_END

C = "lib/xz/xz_dec_bcj.c"

BCJ_X86, BCJ_POWERPC, BCJ_ARM, BCJ_ARMTHUMB, BCJ_SPARC, BCJ_ARM64, BCJ_RISCV = 4, 5, 7, 8, 9, 10, 11
TEMP_BUF = 16                       # sizeof(s->temp.buf)
_CALL_OR_JMP = re.compile(rb"[\xe8\xe9]")
_JAL_OR_AUIPC = re.compile(rb"[\xef\x17\x97]")

mask_to_allowed_status = (True, True, True, False, True, False, False, False)
mask_to_bit_num = (0, 1, 2, 2, 3, 3, 3, 3)


@port_of(C, "bcj_x86_test_msbyte")
def bcj_x86_test_msbyte(b: int) -> bool:
    return b == 0x00 or b == 0xFF


@dup(C, "bcj_x86")
def bcj_x86(s: xz_dec_bcj, code: bytearray, at: int, size: int) -> int:
    prev_pos = -1
    prev_mask = s.x86_prev_mask

    if size <= 4:
        return 0

    size -= 4
    i = 0
    while True:
        # for (i = 0; i < size; ++i): what is no CALL or JMP changes nothing
        m = _CALL_OR_JMP.search(code, at + i, at + size) if i < size else None
        if m is None:
            i = max(i, size)
            break
        i = m.start() - at

        prev_pos = i - prev_pos
        if prev_pos > 3:
            prev_mask = 0
        else:
            prev_mask = (prev_mask << (prev_pos - 1)) & 7
            if prev_mask != 0:
                b = code[at + i + 4 - mask_to_bit_num[prev_mask]]
                if not mask_to_allowed_status[prev_mask] or bcj_x86_test_msbyte(b):
                    prev_pos = i
                    prev_mask = (prev_mask << 1) | 1
                    i += 1
                    continue

        prev_pos = i

        if bcj_x86_test_msbyte(code[at + i + 4]):
            src = unpack_from("<I", code, at + i + 1)[0]
            while True:
                dest = u32(src - u32(s.pos + i + 5))
                if prev_mask == 0:
                    break
                j = mask_to_bit_num[prev_mask] * 8
                b = dest >> (24 - j) & 0xFF
                if not bcj_x86_test_msbyte(b):
                    break
                src = dest ^ ((1 << (32 - j)) - 1)

            dest &= 0x01FFFFFF
            dest |= u32(0 - (dest & 0x01000000))
            pack_into("<I", code, at + i + 1, dest)
            i += 4
        else:
            prev_mask = (prev_mask << 1) | 1
        i += 1

    prev_pos = i - prev_pos
    s.x86_prev_mask = 0 if prev_pos > 3 else u32(prev_mask << (prev_pos - 1))
    return i


@dup(C, "bcj_powerpc")
def bcj_powerpc(s: xz_dec_bcj, code: bytearray, at: int, size: int) -> int:
    size &= ~3
    for i in range(0, size, 4):
        instr = unpack_from(">I", code, at + i)[0]
        if (instr & 0xFC000003) == 0x48000001:
            instr &= 0x03FFFFFC
            instr = u32(instr - u32(s.pos + i))
            instr &= 0x03FFFFFC
            instr |= 0x48000001
            pack_into(">I", code, at + i, instr)
    return size


@dup(C, "bcj_arm")
def bcj_arm(s: xz_dec_bcj, code: bytearray, at: int, size: int) -> int:
    size &= ~3
    for i in range(0, size, 4):
        if code[at + i + 3] == 0xEB:
            addr = code[at + i] | code[at + i + 1] << 8 | code[at + i + 2] << 16
            addr = addr << 2
            addr = u32(addr - u32(s.pos + i + 8))
            addr >>= 2
            code[at + i] = addr & 0xFF
            code[at + i + 1] = addr >> 8 & 0xFF
            code[at + i + 2] = addr >> 16 & 0xFF
    return size


@dup(C, "bcj_armthumb")
def bcj_armthumb(s: xz_dec_bcj, code: bytearray, at: int, size: int) -> int:
    if size < 4:
        return 0

    size -= 4
    i = 0
    while i <= size:
        p = at + i
        if code[p + 1] & 0xF8 == 0xF0 and code[p + 3] & 0xF8 == 0xF8:
            addr = (code[p + 1] & 0x07) << 19 | code[p] << 11 | (code[p + 3] & 0x07) << 8 | code[p + 2]
            addr = addr << 1
            addr = u32(addr - u32(s.pos + i + 4))
            addr >>= 1
            code[p + 1] = 0xF0 | (addr >> 19 & 0x07)
            code[p] = addr >> 11 & 0xFF
            code[p + 3] = 0xF8 | (addr >> 8 & 0x07)
            code[p + 2] = addr & 0xFF
            i += 2
        i += 2
    return i


@dup(C, "bcj_sparc")
def bcj_sparc(s: xz_dec_bcj, code: bytearray, at: int, size: int) -> int:
    size &= ~3
    for i in range(0, size, 4):
        instr = unpack_from(">I", code, at + i)[0]
        if instr >> 22 == 0x100 or instr >> 22 == 0x1FF:
            instr = u32(instr << 2)
            instr = u32(instr - u32(s.pos + i))
            instr >>= 2
            instr = u32(0x40000000 - (instr & 0x400000)) | 0x40000000 | (instr & 0x3FFFFF)
            pack_into(">I", code, at + i, instr)
    return size


@dup(C, "bcj_arm64")
def bcj_arm64(s: xz_dec_bcj, code: bytearray, at: int, size: int) -> int:
    size &= ~3
    for i in range(0, size, 4):
        instr = unpack_from("<I", code, at + i)[0]

        if instr >> 26 == 0x25:
            # BL instruction
            addr = u32(instr - (u32(s.pos + i) >> 2))
            instr = 0x94000000 | (addr & 0x03FFFFFF)
            pack_into("<I", code, at + i, instr)

        elif (instr & 0x9F000000) == 0x90000000:
            # ADRP instruction
            addr = (instr >> 29) & 3 | (instr >> 3) & 0x1FFFFC

            # Only convert values in the range +/-512 MiB.
            if u32(addr + 0x020000) & 0x1C0000:
                continue

            addr = u32(addr - (u32(s.pos + i) >> 12))

            instr &= 0x9000001F
            instr |= (addr & 3) << 29
            instr |= (addr & 0x03FFFC) << 3
            instr |= u32(0 - (addr & 0x020000)) & 0xE00000
            pack_into("<I", code, at + i, instr)
    return size


@dup(C, "bcj_riscv")
def bcj_riscv(s: xz_dec_bcj, code: bytearray, at: int, size: int) -> int:
    if size < 8:
        return 0

    size -= 8
    i = 0
    while i <= size:
        # for (...; i += 2): what is neither JAL nor AUIPC changes nothing
        m = _JAL_OR_AUIPC.search(code, at + i, at + size + 1)
        if m is None:
            i = size + 2 - (size - i & 1)
            break
        i += (m.start() - at - i + 1) & ~1
        if i > size:
            break
        p = at + i
        instr = code[p]

        if instr == 0xEF:
            # JAL
            b1 = code[p + 1]
            if (b1 & 0x0D) != 0:
                i += 2
                continue

            b2 = code[p + 2]
            b3 = code[p + 3]

            addr = (b1 & 0xF0) << 13 | b2 << 9 | b3 << 1
            addr = u32(addr - u32(s.pos + i))

            code[p + 1] = (b1 & 0x0F) | (addr >> 8 & 0xF0)
            code[p + 2] = (addr >> 16 & 0x0F) | (addr >> 7 & 0x10) | (addr << 4 & 0xE0)
            code[p + 3] = (addr >> 4 & 0x7F) | (addr >> 13 & 0x80)

            i += 4 - 2

        elif instr & 0x7F == 0x17:
            # AUIPC
            instr |= code[p + 1] << 8
            instr |= code[p + 2] << 16
            instr |= code[p + 3] << 24

            if instr & 0xE80:
                # AUIPC's rd doesn't equal x0 or x2.
                instr2 = unpack_from("<I", code, p + 4)[0]

                if (u32(instr << 8) ^ u32(instr2 - 3)) & 0xF8003:
                    i += 6
                    continue

                addr = u32((instr & 0xFFFFF000) + (instr2 >> 20))

                instr = 0x17 | 2 << 7 | u32(instr2 << 12)
                instr2 = addr
            else:
                # AUIPC's rd equals x0 or x2.
                instr2_rs1 = instr >> 27

                if u32(u32(instr - 0x3117) << 18) >= instr2_rs1 & 0x1D:
                    i += 4
                    continue

                addr = unpack_from(">I", code, p + 4)[0]
                addr = u32(addr - u32(s.pos + i))

                instr2 = instr >> 12 | u32(addr << 20)

                instr = 0x17 | instr2_rs1 << 7 | (u32(addr + 0x800) & 0xFFFFF000)

            pack_into("<I", code, p, instr)
            pack_into("<I", code, p + 4, instr2)

            i += 8 - 2
        i += 2
    return i


_filters: dict[int, tuple[str, Callable[[Any, bytearray, int, int], int]]] = {
    BCJ_X86: ("CONFIG_XZ_DEC_X86", bcj_x86), BCJ_POWERPC: ("CONFIG_XZ_DEC_POWERPC", bcj_powerpc),
    BCJ_ARM: ("CONFIG_XZ_DEC_ARM", bcj_arm),
    BCJ_ARMTHUMB: ("CONFIG_XZ_DEC_ARMTHUMB", bcj_armthumb), BCJ_SPARC: ("CONFIG_XZ_DEC_SPARC", bcj_sparc),
    BCJ_ARM64: ("CONFIG_XZ_DEC_ARM64", bcj_arm64), BCJ_RISCV: ("CONFIG_XZ_DEC_RISCV", bcj_riscv),
}


def have_bcj() -> bool:
    """``#ifdef XZ_DEC_BCJ``"""
    return any(IS_ENABLED(option) for option, _ in _filters.values())


class xz_dec_bcj:
    """``struct xz_dec_bcj`` in multi-call mode. ``struct xz_buf`` is the decoder: ``out`` holds ``out_pos`` bytes."""

    __slots__ = ("filtered", "pos", "ret", "temp", "type", "x86_prev_mask")

    def __init__(self) -> None:
        self.type = self.ret = self.pos = self.x86_prev_mask = 0
        self.filtered = 0               # temp.filtered
        self.temp = bytearray()         # temp.code[0 .. temp.size)


@port_of(C, "bcj_apply")
def bcj_apply(s: xz_dec_bcj, code: bytearray, pos: int, size: int) -> int:
    """Apply the selected filter to ``code[pos:size]``; the new ``*pos``."""
    filtered = _filters[s.type][1](s, code, pos, size - pos)
    s.pos = u32(s.pos + filtered)
    return pos + filtered


@port_of(C, "bcj_flush")
def bcj_flush(s: xz_dec_bcj, b: Any) -> None:
    copy_size = min(s.filtered, b.out_size - len(b.out))
    b.out += s.temp[:copy_size]

    s.filtered -= copy_size
    del s.temp[:copy_size]


@port_of(C, "xz_dec_bcj_run")
def xz_dec_bcj_run(s: xz_dec_bcj, lzma2: Any, b: Any) -> int:
    # Flush pending already filtered data to the output buffer.
    if s.filtered > 0:
        bcj_flush(s, b)
        if s.filtered > 0:
            return XZ_OK

        if s.ret == XZ_STREAM_END:
            return XZ_STREAM_END

    # If we have more output space than what is currently pending in temp, copy the unfiltered data from temp to the output buffer
    # and try to fill the output buffer by decoding more data from the next filter in the chain.
    if len(s.temp) < b.out_size - len(b.out) or not s.temp:
        out_start = len(b.out)
        b.out += s.temp

        s.ret = lzma2.run()
        if s.ret != XZ_STREAM_END and s.ret != XZ_OK:
            return s.ret

        out_start = bcj_apply(s, b.out, out_start, len(b.out))

        # As an exception, if the next filter returned XZ_STREAM_END, we can do that too, since the last few bytes that remain
        # unfiltered are meant to remain unfiltered.
        if s.ret == XZ_STREAM_END:
            return XZ_STREAM_END

        s.temp = b.out[out_start:]
        del b.out[out_start:]

        # If there wasn't enough input to the next filter to fill the output buffer with unfiltered data, there's no point to try
        # decoding more data to temp.
        if len(b.out) + len(s.temp) < b.out_size:
            return XZ_OK

    # We have unfiltered data in temp. If the output buffer isn't full yet, try to fill the temp buffer by decoding more data from
    # the next filter. Apply the BCJ filter on temp.
    if len(b.out) < b.out_size:
        # Make b->out{,_pos,_size} temporarily point to s->temp.
        out, out_size = b.out, b.out_size
        b.out, b.out_size = s.temp, TEMP_BUF

        s.ret = lzma2.run()

        s.temp = b.out
        b.out, b.out_size = out, out_size

        if s.ret != XZ_OK and s.ret != XZ_STREAM_END:
            return s.ret

        s.filtered = bcj_apply(s, s.temp, s.filtered, len(s.temp))

        # If the next filter returned XZ_STREAM_END, we mark that everything is filtered, since the last unfiltered bytes of the
        # stream are meant to be left as is.
        if s.ret == XZ_STREAM_END:
            s.filtered = len(s.temp)

        bcj_flush(s, b)
        if s.filtered > 0:
            return XZ_OK

    return s.ret


@dup(C, "xz_dec_bcj_reset")
def xz_dec_bcj_reset(s: xz_dec_bcj, id: int) -> int:
    if id not in _filters or not IS_ENABLED(_filters[id][0]):
        # Unsupported Filter ID
        return XZ_OPTIONS_ERROR

    s.type = id
    s.ret = XZ_OK
    s.pos = 0
    s.x86_prev_mask = 0
    s.filtered = 0
    s.temp = bytearray()

    return XZ_OK
