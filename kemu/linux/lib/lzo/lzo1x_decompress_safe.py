# SPDX-License-Identifier: GPL-2.0-only
"""The LZO1X decoder (lib/lzo/lzo1x_decompress_safe.c)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom

C = "lib/lzo/lzo1x_decompress_safe.c"

(LZO_E_OK, LZO_E_ERROR, LZO_E_INPUT_OVERRUN, LZO_E_OUTPUT_OVERRUN, LZO_E_LOOKBEHIND_OVERRUN,
 LZO_E_INPUT_NOT_CONSUMED) = 0, -1, -4, -5, -6, -8
M2_MAX_OFFSET = 0x0800
MIN_ZERO_RUN_LENGTH = 4


@custom(C, "lzo1x_decompress_safe",
        "state by state instead of by goto, on bytes; a read behind the input is an overrun, not done")
def lzo1x_decompress_safe(src: bytes, out_len: int) -> tuple[int, bytearray]:
    """``int lzo1x_decompress_safe(in, in_len, out, &out_len)``: the LZO_E_* code, and what was decoded.

    Every block read is of its checked source range; a read behind ``ip_end`` that C would do is not done: it is an input overrun.
    """
    try:
        return _decode(src, out_len)
    except IndexError:
        return LZO_E_INPUT_OVERRUN, bytearray()


def _decode(src: bytes, out_len: int) -> tuple[int, bytearray]:
    out = bytearray()
    ip = 0
    ip_end = len(src)
    op = 0
    state = 0

    if ip_end < 3:
        return LZO_E_INPUT_OVERRUN, out
    if ip_end >= 5 and src[0] == 17:
        bitstream_version = src[1]
        ip += 2
    else:
        bitstream_version = 0

    first = src[ip] > 17
    while True:
        literal = 0
        if first:
            first = False
            t = src[ip] - 17
            ip += 1
            if t < 4:
                nxt = t
                m_len = 0
                m_off = 0
            else:
                literal = t
        else:
            t = src[ip]
            ip += 1
            m_len = 0
            m_off = 0
            if t < 16:
                if state == 0:
                    if t == 0:
                        ip_last = ip
                        while src[ip] == 0:
                            ip += 1
                            if ip_end - ip < 1:
                                return LZO_E_INPUT_OVERRUN, out
                        t += (ip - ip_last) * 255 + 15 + src[ip]
                        ip += 1
                    literal = t + 3
                elif state != 4:
                    nxt = t & 3
                    m_off = 1 + (t >> 2) + (src[ip] << 2)
                    ip += 1
                    m_len = 2
                else:
                    nxt = t & 3
                    m_off = 1 + M2_MAX_OFFSET + (t >> 2) + (src[ip] << 2)
                    ip += 1
                    m_len = 3
            elif t >= 64:
                nxt = t & 3
                m_off = 1 + ((t >> 2) & 7) + (src[ip] << 3)
                ip += 1
                m_len = (t >> 5) - 1 + 2
            elif t >= 32:
                m_len = (t & 31) + 2
                if m_len == 2:
                    ip_last = ip
                    while src[ip] == 0:
                        ip += 1
                        if ip_end - ip < 1:
                            return LZO_E_INPUT_OVERRUN, out
                    m_len += (ip - ip_last) * 255 + 31 + src[ip]
                    ip += 1
                    if ip_end - ip < 2:
                        return LZO_E_INPUT_OVERRUN, out
                nxt = src[ip] | src[ip + 1] << 8
                ip += 2
                m_off = 1 + (nxt >> 2)
                nxt &= 3
            else:
                if ip_end - ip < 2:
                    return LZO_E_INPUT_OVERRUN, out
                nxt = src[ip] | src[ip + 1] << 8
                if nxt & 0xFFFC == 0xFFFC and t & 0xF8 == 0x18 and bitstream_version:
                    if ip_end - ip < 3:
                        return LZO_E_INPUT_OVERRUN, out
                    t = (t & 7 | src[ip + 2] << 3) + MIN_ZERO_RUN_LENGTH
                    if out_len - op < t:
                        return LZO_E_OUTPUT_OVERRUN, out
                    out += bytes(t)
                    op += t
                    nxt &= 3
                    ip += 3
                else:
                    m_off = (t & 8) << 11
                    m_len = (t & 7) + 2
                    if m_len == 2:
                        ip_last = ip
                        while src[ip] == 0:
                            ip += 1
                            if ip_end - ip < 1:
                                return LZO_E_INPUT_OVERRUN, out
                        m_len += (ip - ip_last) * 255 + 7 + src[ip]
                        ip += 1
                        if ip_end - ip < 2:
                            return LZO_E_INPUT_OVERRUN, out
                        nxt = src[ip] | src[ip + 1] << 8
                    ip += 2
                    m_off += nxt >> 2
                    nxt &= 3
                    if m_off == 0:
                        # eof_found
                        if m_len != 3:
                            return LZO_E_ERROR, out
                        return (LZO_E_OK if ip == ip_end else LZO_E_INPUT_NOT_CONSUMED), out
                    m_off += 0x4000

        if literal:
            # copy_literal_run
            if out_len - op < literal:
                return LZO_E_OUTPUT_OVERRUN, out
            if ip_end - ip < literal + 3:
                return LZO_E_INPUT_OVERRUN, out
            out += src[ip:ip + literal]
            ip += literal
            op += literal
            state = 4
            continue

        if m_len:
            m_pos = op - m_off
            if m_pos < 0:
                return LZO_E_LOOKBEHIND_OVERRUN, out
            if out_len - op < m_len:
                return LZO_E_OUTPUT_OVERRUN, out
            if m_off >= m_len:
                out += out[m_pos:m_pos + m_len]
            else:
                pattern = out[m_pos:]
                out += (pattern * (m_len // m_off + 1))[:m_len]
            op += m_len

        # match_next
        state = nxt
        if ip_end - ip < nxt + 3:
            return LZO_E_INPUT_OVERRUN, out
        if out_len - op < nxt:
            return LZO_E_OUTPUT_OVERRUN, out
        if nxt:
            out += src[ip:ip + nxt]
            ip += nxt
            op += nxt
