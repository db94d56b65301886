// SPDX-License-Identifier: GPL-2.0-only
/* SHA-256 (FIPS 180-4); with the CPU's own instructions where it has them. */
#include <string.h>

#include "agent.h"

static const uint32_t K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t ror(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void blocks_plain(uint32_t *h, const unsigned char *p, size_t count)
{
	for (; count; count--, p += 64) {
		uint32_t w[64], s[8];
		int i;

		for (i = 0; i < 16; i++)
			w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
		for (; i < 64; i++)
			w[i] = w[i - 16] + w[i - 7] + (ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3) +
			       (ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10);
		memcpy(s, h, sizeof(s));
		for (i = 0; i < 64; i++) {
			uint32_t t1 = s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) +
				      ((s[4] & s[5]) ^ (~s[4] & s[6])) + K[i] + w[i];
			uint32_t t2 = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) +
				      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

			memmove(s + 1, s, 7 * sizeof(*s));
			s[4] += t1;
			s[0] = t1 + t2;
		}
		for (i = 0; i < 8; i++)
			h[i] += s[i];
	}
}

#ifdef __x86_64__
#include <immintrin.h>

__attribute__((target("sha,sse4.1,ssse3")))
static void blocks_ni(uint32_t *h, const unsigned char *p, size_t count)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bULL, 0x0405060700010203ULL);
	__m128i t = _mm_shuffle_epi32(_mm_loadu_si128((void *)h), 0xb1);		/* CDAB */
	__m128i s1 = _mm_shuffle_epi32(_mm_loadu_si128((void *)(h + 4)), 0x1b);		/* EFGH */
	__m128i s0 = _mm_alignr_epi8(t, s1, 8);						/* ABEF */

	s1 = _mm_blend_epi16(s1, t, 0xf0);						/* CDGH */
	for (; count; count--, p += 64) {
		__m128i m[4], a = s0, b = s1, k;
		int i;

		for (i = 0; i < 4; i++)
			m[i] = _mm_shuffle_epi8(_mm_loadu_si128((void *)(p + 16 * i)), swap);
		for (i = 0; i < 16; i++) {
			k = _mm_add_epi32(m[i & 3], _mm_loadu_si128((void *)(K + 4 * i)));
			s1 = _mm_sha256rnds2_epu32(s1, s0, k);
			s0 = _mm_sha256rnds2_epu32(s0, s1, _mm_shuffle_epi32(k, 0x0e));
			if (i < 12) {
				t = _mm_sha256msg1_epu32(m[i & 3], m[(i + 1) & 3]);
				t = _mm_add_epi32(t, _mm_alignr_epi8(m[(i + 3) & 3], m[(i + 2) & 3], 4));
				m[i & 3] = _mm_sha256msg2_epu32(t, m[(i + 3) & 3]);
			}
		}
		s0 = _mm_add_epi32(s0, a);
		s1 = _mm_add_epi32(s1, b);
	}
	t = _mm_shuffle_epi32(s0, 0x1b);
	s1 = _mm_shuffle_epi32(s1, 0xb1);
	_mm_storeu_si128((void *)h, _mm_blend_epi16(t, s1, 0xf0));
	_mm_storeu_si128((void *)(h + 4), _mm_alignr_epi8(s1, t, 8));
}

static int has_ni(void)
{
	static int known = -1;
	unsigned int a = 7, b = 0, c = 0, d;

	if (known < 0) {
		__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		known = (b >> 29 & 1) && __builtin_cpu_supports("sse4.1");
	}
	return known;
}
#else
#define has_ni()	0
#define blocks_ni	blocks_plain
#endif

static void blocks(uint32_t *h, const unsigned char *p, size_t count)
{
	if (has_ni())
		blocks_ni(h, p, count);
	else
		blocks_plain(h, p, count);
}

void sha256_init(struct sha256 *s)
{
	static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	memcpy(s->h, start, sizeof(start));
	s->len = 0;
}

void sha256_update(struct sha256 *s, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t fill = s->len & 63, n;

	s->len += len;
	if (fill) {
		n = len < 64 - fill ? len : 64 - fill;
		memcpy(s->block + fill, p, n);
		p += n;
		len -= n;
		if (fill + n < 64)
			return;
		blocks(s->h, s->block, 1);
	}
	blocks(s->h, p, len / 64);
	memcpy(s->block, p + (len & ~(size_t)63), len & 63);
}

void sha256_final(struct sha256 *s, unsigned char out[32])
{
	uint64_t bits = s->len * 8;
	unsigned char tail[72] = { 0x80 };
	size_t pad = 64 - ((s->len + 8) & 63);
	int i;

	for (i = 0; i < 8; i++)
		tail[pad + i] = bits >> (56 - 8 * i);
	sha256_update(s, tail, pad + 8);
	for (i = 0; i < 32; i++)
		out[i] = s->h[i / 4] >> (24 - 8 * (i & 3));
}
