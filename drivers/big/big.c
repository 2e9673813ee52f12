/*
 * A large clean driver: digests with their rounds unrolled, a sort, a parser and a small virtual machine. DriverEntry runs
 * all of them over 64 KB of pseudo-random bytes and fails with STATUS_DATA_ERROR if an answer differs from the one
 * computed beforehand. It serves to measure how long loading and translating a big image takes, and as a check of the
 * processor's integer instructions.
 *
 * Algorithms: FIPS 180-4 (SHA-1, SHA-256, SHA-512), RFC 1321 (MD5), RFC 7693 (BLAKE2b, BLAKE2s), CRC-32 of IEEE 802.3.
 */
#include "sample.h"

#pragma GCC optimize("unroll-loops")

#define TAG_MESSAGE 'mgiB' /* Bigm */
#define TAG_RESULT 'rgiB'  /* Bigr */

#define MESSAGE_BYTES 65536
#define SORT_COUNT 4096
#define MAX_DIGEST_BYTES 64

#define IOCTL_BIG_CHECK CTL_CODE(FILE_DEVICE_UNKNOWN, 0x850, METHOD_BUFFERED, FILE_ANY_ACCESS)

#define ROL32(x, n) (((x) << (n)) | ((x) >> (32 - (n))))
#define ROR32(x, n) (((x) >> (n)) | ((x) << (32 - (n))))
#define ROR64(x, n) (((x) >> (n)) | ((x) << (64 - (n))))
#define CHOOSE(x, y, z) (((x) & (y)) ^ (~(x) & (z)))
#define PARITY(x, y, z) ((x) ^ (y) ^ (z))
#define MAJORITY(x, y, z) (((x) & (y)) ^ ((x) & (z)) ^ ((y) & (z)))

typedef struct _DIGEST {
    PCSTR Name;
    ULONG BlockBytes;
    ULONG StateBytes;
    ULONG DigestBytes;
    const VOID *Initial;
    VOID (*Compress)(PVOID State, const UCHAR *Block, ULONG64 Total, BOOLEAN Last);
    VOID (*Pad)(PUCHAR Blocks, ULONG Used, ULONG64 TotalBytes, PULONG BlockCount);
    BOOLEAN BigEndian;
    ULONG WordBytes;
    const UCHAR *Expected;
} DIGEST;

typedef struct _BIG_EXTENSION {
    PUCHAR Message;
    ULONG ChecksRun;
} BIG_EXTENSION, *PBIG_EXTENSION;

static ULONG LoadBe32(const UCHAR *p)
{
    return ((ULONG)p[0] << 24) | ((ULONG)p[1] << 16) | ((ULONG)p[2] << 8) | p[3];
}

static ULONG64 LoadBe64(const UCHAR *p)
{
    return ((ULONG64)LoadBe32(p) << 32) | LoadBe32(p + 4);
}

#define R256(a, b, c, d, e, f, g, h, i, k)                                                                            \
    t = h + (ROR32(e, 6) ^ ROR32(e, 11) ^ ROR32(e, 25)) + CHOOSE(e, f, g) + k + w[i];                                 \
    d += t;                                                                                                            \
    h = t + (ROR32(a, 2) ^ ROR32(a, 13) ^ ROR32(a, 22)) + MAJORITY(a, b, c);

/* clang-format off */
static VOID CompressSha256(PVOID State, const UCHAR *Block, ULONG64 Total, BOOLEAN Last)
{
    PULONG s = State;
    ULONG w[64], t;
    UNREFERENCED_PARAMETER(Total);
    UNREFERENCED_PARAMETER(Last);
    for (int i = 0; i < 16; i++) {
        w[i] = LoadBe32(Block + 4 * i);
    }
    for (int i = 16; i < 64; i++) {
        w[i] = (ROR32(w[i - 2], 17) ^ ROR32(w[i - 2], 19) ^ (w[i - 2] >> 10)) + w[i - 7] +
               (ROR32(w[i - 15], 7) ^ ROR32(w[i - 15], 18) ^ (w[i - 15] >> 3)) + w[i - 16];
    }
    ULONG a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    R256(a, b, c, d, e, f, g, h, 0, 0x428A2F98) R256(h, a, b, c, d, e, f, g, 1, 0x71374491) R256(g, h, a, b, c, d, e, f, 2, 0xB5C0FBCF)
    R256(f, g, h, a, b, c, d, e, 3, 0xE9B5DBA5) R256(e, f, g, h, a, b, c, d, 4, 0x3956C25B) R256(d, e, f, g, h, a, b, c, 5, 0x59F111F1)
    R256(c, d, e, f, g, h, a, b, 6, 0x923F82A4) R256(b, c, d, e, f, g, h, a, 7, 0xAB1C5ED5) R256(a, b, c, d, e, f, g, h, 8, 0xD807AA98)
    R256(h, a, b, c, d, e, f, g, 9, 0x12835B01) R256(g, h, a, b, c, d, e, f, 10, 0x243185BE) R256(f, g, h, a, b, c, d, e, 11, 0x550C7DC3)
    R256(e, f, g, h, a, b, c, d, 12, 0x72BE5D74) R256(d, e, f, g, h, a, b, c, 13, 0x80DEB1FE) R256(c, d, e, f, g, h, a, b, 14, 0x9BDC06A7)
    R256(b, c, d, e, f, g, h, a, 15, 0xC19BF174) R256(a, b, c, d, e, f, g, h, 16, 0xE49B69C1) R256(h, a, b, c, d, e, f, g, 17, 0xEFBE4786)
    R256(g, h, a, b, c, d, e, f, 18, 0x0FC19DC6) R256(f, g, h, a, b, c, d, e, 19, 0x240CA1CC) R256(e, f, g, h, a, b, c, d, 20, 0x2DE92C6F)
    R256(d, e, f, g, h, a, b, c, 21, 0x4A7484AA) R256(c, d, e, f, g, h, a, b, 22, 0x5CB0A9DC) R256(b, c, d, e, f, g, h, a, 23, 0x76F988DA)
    R256(a, b, c, d, e, f, g, h, 24, 0x983E5152) R256(h, a, b, c, d, e, f, g, 25, 0xA831C66D) R256(g, h, a, b, c, d, e, f, 26, 0xB00327C8)
    R256(f, g, h, a, b, c, d, e, 27, 0xBF597FC7) R256(e, f, g, h, a, b, c, d, 28, 0xC6E00BF3) R256(d, e, f, g, h, a, b, c, 29, 0xD5A79147)
    R256(c, d, e, f, g, h, a, b, 30, 0x06CA6351) R256(b, c, d, e, f, g, h, a, 31, 0x14292967) R256(a, b, c, d, e, f, g, h, 32, 0x27B70A85)
    R256(h, a, b, c, d, e, f, g, 33, 0x2E1B2138) R256(g, h, a, b, c, d, e, f, 34, 0x4D2C6DFC) R256(f, g, h, a, b, c, d, e, 35, 0x53380D13)
    R256(e, f, g, h, a, b, c, d, 36, 0x650A7354) R256(d, e, f, g, h, a, b, c, 37, 0x766A0ABB) R256(c, d, e, f, g, h, a, b, 38, 0x81C2C92E)
    R256(b, c, d, e, f, g, h, a, 39, 0x92722C85) R256(a, b, c, d, e, f, g, h, 40, 0xA2BFE8A1) R256(h, a, b, c, d, e, f, g, 41, 0xA81A664B)
    R256(g, h, a, b, c, d, e, f, 42, 0xC24B8B70) R256(f, g, h, a, b, c, d, e, 43, 0xC76C51A3) R256(e, f, g, h, a, b, c, d, 44, 0xD192E819)
    R256(d, e, f, g, h, a, b, c, 45, 0xD6990624) R256(c, d, e, f, g, h, a, b, 46, 0xF40E3585) R256(b, c, d, e, f, g, h, a, 47, 0x106AA070)
    R256(a, b, c, d, e, f, g, h, 48, 0x19A4C116) R256(h, a, b, c, d, e, f, g, 49, 0x1E376C08) R256(g, h, a, b, c, d, e, f, 50, 0x2748774C)
    R256(f, g, h, a, b, c, d, e, 51, 0x34B0BCB5) R256(e, f, g, h, a, b, c, d, 52, 0x391C0CB3) R256(d, e, f, g, h, a, b, c, 53, 0x4ED8AA4A)
    R256(c, d, e, f, g, h, a, b, 54, 0x5B9CCA4F) R256(b, c, d, e, f, g, h, a, 55, 0x682E6FF3) R256(a, b, c, d, e, f, g, h, 56, 0x748F82EE)
    R256(h, a, b, c, d, e, f, g, 57, 0x78A5636F) R256(g, h, a, b, c, d, e, f, 58, 0x84C87814) R256(f, g, h, a, b, c, d, e, 59, 0x8CC70208)
    R256(e, f, g, h, a, b, c, d, 60, 0x90BEFFFA) R256(d, e, f, g, h, a, b, c, 61, 0xA4506CEB) R256(c, d, e, f, g, h, a, b, 62, 0xBEF9A3F7)
    R256(b, c, d, e, f, g, h, a, 63, 0xC67178F2)
    s[0] += a; s[1] += b; s[2] += c; s[3] += d; s[4] += e; s[5] += f; s[6] += g; s[7] += h;
}

#define R512(a, b, c, d, e, f, g, h, i, k)                                                                            \
    t = h + (ROR64(e, 14) ^ ROR64(e, 18) ^ ROR64(e, 41)) + CHOOSE(e, f, g) + k + w[i];                                \
    d += t;                                                                                                            \
    h = t + (ROR64(a, 28) ^ ROR64(a, 34) ^ ROR64(a, 39)) + MAJORITY(a, b, c);

static VOID CompressSha512(PVOID State, const UCHAR *Block, ULONG64 Total, BOOLEAN Last)
{
    ULONG64 *s = State;
    ULONG64 w[80], t;
    UNREFERENCED_PARAMETER(Total);
    UNREFERENCED_PARAMETER(Last);
    for (int i = 0; i < 16; i++) {
        w[i] = LoadBe64(Block + 8 * i);
    }
    for (int i = 16; i < 80; i++) {
        w[i] = (ROR64(w[i - 2], 19) ^ ROR64(w[i - 2], 61) ^ (w[i - 2] >> 6)) + w[i - 7] +
               (ROR64(w[i - 15], 1) ^ ROR64(w[i - 15], 8) ^ (w[i - 15] >> 7)) + w[i - 16];
    }
    ULONG64 a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    R512(a, b, c, d, e, f, g, h, 0, 0x428A2F98D728AE22ULL) R512(h, a, b, c, d, e, f, g, 1, 0x7137449123EF65CDULL)
    R512(g, h, a, b, c, d, e, f, 2, 0xB5C0FBCFEC4D3B2FULL) R512(f, g, h, a, b, c, d, e, 3, 0xE9B5DBA58189DBBCULL)
    R512(e, f, g, h, a, b, c, d, 4, 0x3956C25BF348B538ULL) R512(d, e, f, g, h, a, b, c, 5, 0x59F111F1B605D019ULL)
    R512(c, d, e, f, g, h, a, b, 6, 0x923F82A4AF194F9BULL) R512(b, c, d, e, f, g, h, a, 7, 0xAB1C5ED5DA6D8118ULL)
    R512(a, b, c, d, e, f, g, h, 8, 0xD807AA98A3030242ULL) R512(h, a, b, c, d, e, f, g, 9, 0x12835B0145706FBEULL)
    R512(g, h, a, b, c, d, e, f, 10, 0x243185BE4EE4B28CULL) R512(f, g, h, a, b, c, d, e, 11, 0x550C7DC3D5FFB4E2ULL)
    R512(e, f, g, h, a, b, c, d, 12, 0x72BE5D74F27B896FULL) R512(d, e, f, g, h, a, b, c, 13, 0x80DEB1FE3B1696B1ULL)
    R512(c, d, e, f, g, h, a, b, 14, 0x9BDC06A725C71235ULL) R512(b, c, d, e, f, g, h, a, 15, 0xC19BF174CF692694ULL)
    R512(a, b, c, d, e, f, g, h, 16, 0xE49B69C19EF14AD2ULL) R512(h, a, b, c, d, e, f, g, 17, 0xEFBE4786384F25E3ULL)
    R512(g, h, a, b, c, d, e, f, 18, 0x0FC19DC68B8CD5B5ULL) R512(f, g, h, a, b, c, d, e, 19, 0x240CA1CC77AC9C65ULL)
    R512(e, f, g, h, a, b, c, d, 20, 0x2DE92C6F592B0275ULL) R512(d, e, f, g, h, a, b, c, 21, 0x4A7484AA6EA6E483ULL)
    R512(c, d, e, f, g, h, a, b, 22, 0x5CB0A9DCBD41FBD4ULL) R512(b, c, d, e, f, g, h, a, 23, 0x76F988DA831153B5ULL)
    R512(a, b, c, d, e, f, g, h, 24, 0x983E5152EE66DFABULL) R512(h, a, b, c, d, e, f, g, 25, 0xA831C66D2DB43210ULL)
    R512(g, h, a, b, c, d, e, f, 26, 0xB00327C898FB213FULL) R512(f, g, h, a, b, c, d, e, 27, 0xBF597FC7BEEF0EE4ULL)
    R512(e, f, g, h, a, b, c, d, 28, 0xC6E00BF33DA88FC2ULL) R512(d, e, f, g, h, a, b, c, 29, 0xD5A79147930AA725ULL)
    R512(c, d, e, f, g, h, a, b, 30, 0x06CA6351E003826FULL) R512(b, c, d, e, f, g, h, a, 31, 0x142929670A0E6E70ULL)
    R512(a, b, c, d, e, f, g, h, 32, 0x27B70A8546D22FFCULL) R512(h, a, b, c, d, e, f, g, 33, 0x2E1B21385C26C926ULL)
    R512(g, h, a, b, c, d, e, f, 34, 0x4D2C6DFC5AC42AEDULL) R512(f, g, h, a, b, c, d, e, 35, 0x53380D139D95B3DFULL)
    R512(e, f, g, h, a, b, c, d, 36, 0x650A73548BAF63DEULL) R512(d, e, f, g, h, a, b, c, 37, 0x766A0ABB3C77B2A8ULL)
    R512(c, d, e, f, g, h, a, b, 38, 0x81C2C92E47EDAEE6ULL) R512(b, c, d, e, f, g, h, a, 39, 0x92722C851482353BULL)
    R512(a, b, c, d, e, f, g, h, 40, 0xA2BFE8A14CF10364ULL) R512(h, a, b, c, d, e, f, g, 41, 0xA81A664BBC423001ULL)
    R512(g, h, a, b, c, d, e, f, 42, 0xC24B8B70D0F89791ULL) R512(f, g, h, a, b, c, d, e, 43, 0xC76C51A30654BE30ULL)
    R512(e, f, g, h, a, b, c, d, 44, 0xD192E819D6EF5218ULL) R512(d, e, f, g, h, a, b, c, 45, 0xD69906245565A910ULL)
    R512(c, d, e, f, g, h, a, b, 46, 0xF40E35855771202AULL) R512(b, c, d, e, f, g, h, a, 47, 0x106AA07032BBD1B8ULL)
    R512(a, b, c, d, e, f, g, h, 48, 0x19A4C116B8D2D0C8ULL) R512(h, a, b, c, d, e, f, g, 49, 0x1E376C085141AB53ULL)
    R512(g, h, a, b, c, d, e, f, 50, 0x2748774CDF8EEB99ULL) R512(f, g, h, a, b, c, d, e, 51, 0x34B0BCB5E19B48A8ULL)
    R512(e, f, g, h, a, b, c, d, 52, 0x391C0CB3C5C95A63ULL) R512(d, e, f, g, h, a, b, c, 53, 0x4ED8AA4AE3418ACBULL)
    R512(c, d, e, f, g, h, a, b, 54, 0x5B9CCA4F7763E373ULL) R512(b, c, d, e, f, g, h, a, 55, 0x682E6FF3D6B2B8A3ULL)
    R512(a, b, c, d, e, f, g, h, 56, 0x748F82EE5DEFB2FCULL) R512(h, a, b, c, d, e, f, g, 57, 0x78A5636F43172F60ULL)
    R512(g, h, a, b, c, d, e, f, 58, 0x84C87814A1F0AB72ULL) R512(f, g, h, a, b, c, d, e, 59, 0x8CC702081A6439ECULL)
    R512(e, f, g, h, a, b, c, d, 60, 0x90BEFFFA23631E28ULL) R512(d, e, f, g, h, a, b, c, 61, 0xA4506CEBDE82BDE9ULL)
    R512(c, d, e, f, g, h, a, b, 62, 0xBEF9A3F7B2C67915ULL) R512(b, c, d, e, f, g, h, a, 63, 0xC67178F2E372532BULL)
    R512(a, b, c, d, e, f, g, h, 64, 0xCA273ECEEA26619CULL) R512(h, a, b, c, d, e, f, g, 65, 0xD186B8C721C0C207ULL)
    R512(g, h, a, b, c, d, e, f, 66, 0xEADA7DD6CDE0EB1EULL) R512(f, g, h, a, b, c, d, e, 67, 0xF57D4F7FEE6ED178ULL)
    R512(e, f, g, h, a, b, c, d, 68, 0x06F067AA72176FBAULL) R512(d, e, f, g, h, a, b, c, 69, 0x0A637DC5A2C898A6ULL)
    R512(c, d, e, f, g, h, a, b, 70, 0x113F9804BEF90DAEULL) R512(b, c, d, e, f, g, h, a, 71, 0x1B710B35131C471BULL)
    R512(a, b, c, d, e, f, g, h, 72, 0x28DB77F523047D84ULL) R512(h, a, b, c, d, e, f, g, 73, 0x32CAAB7B40C72493ULL)
    R512(g, h, a, b, c, d, e, f, 74, 0x3C9EBE0A15C9BEBCULL) R512(f, g, h, a, b, c, d, e, 75, 0x431D67C49C100D4CULL)
    R512(e, f, g, h, a, b, c, d, 76, 0x4CC5D4BECB3E42B6ULL) R512(d, e, f, g, h, a, b, c, 77, 0x597F299CFC657E2AULL)
    R512(c, d, e, f, g, h, a, b, 78, 0x5FCB6FAB3AD6FAECULL) R512(b, c, d, e, f, g, h, a, 79, 0x6C44198C4A475817ULL)
    s[0] += a; s[1] += b; s[2] += c; s[3] += d; s[4] += e; s[5] += f; s[6] += g; s[7] += h;
}

#define R1(a, b, c, d, e, i, f, k)                                                                                    \
    e += ROL32(a, 5) + f(b, c, d) + k + w[i];                                                                          \
    b = ROL32(b, 30);

static VOID CompressSha1(PVOID State, const UCHAR *Block, ULONG64 Total, BOOLEAN Last)
{
    PULONG s = State;
    ULONG w[80];
    UNREFERENCED_PARAMETER(Total);
    UNREFERENCED_PARAMETER(Last);
    for (int i = 0; i < 16; i++) {
        w[i] = LoadBe32(Block + 4 * i);
    }
    for (int i = 16; i < 80; i++) {
        ULONG x = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
        w[i] = ROL32(x, 1);
    }
    ULONG a = s[0], b = s[1], c = s[2], d = s[3], e = s[4];
    R1(a, b, c, d, e, 0, CHOOSE, 0x5A827999) R1(e, a, b, c, d, 1, CHOOSE, 0x5A827999) R1(d, e, a, b, c, 2, CHOOSE, 0x5A827999)
    R1(c, d, e, a, b, 3, CHOOSE, 0x5A827999) R1(b, c, d, e, a, 4, CHOOSE, 0x5A827999) R1(a, b, c, d, e, 5, CHOOSE, 0x5A827999)
    R1(e, a, b, c, d, 6, CHOOSE, 0x5A827999) R1(d, e, a, b, c, 7, CHOOSE, 0x5A827999) R1(c, d, e, a, b, 8, CHOOSE, 0x5A827999)
    R1(b, c, d, e, a, 9, CHOOSE, 0x5A827999) R1(a, b, c, d, e, 10, CHOOSE, 0x5A827999) R1(e, a, b, c, d, 11, CHOOSE, 0x5A827999)
    R1(d, e, a, b, c, 12, CHOOSE, 0x5A827999) R1(c, d, e, a, b, 13, CHOOSE, 0x5A827999) R1(b, c, d, e, a, 14, CHOOSE, 0x5A827999)
    R1(a, b, c, d, e, 15, CHOOSE, 0x5A827999) R1(e, a, b, c, d, 16, CHOOSE, 0x5A827999) R1(d, e, a, b, c, 17, CHOOSE, 0x5A827999)
    R1(c, d, e, a, b, 18, CHOOSE, 0x5A827999) R1(b, c, d, e, a, 19, CHOOSE, 0x5A827999)
    R1(a, b, c, d, e, 20, PARITY, 0x6ED9EBA1) R1(e, a, b, c, d, 21, PARITY, 0x6ED9EBA1) R1(d, e, a, b, c, 22, PARITY, 0x6ED9EBA1)
    R1(c, d, e, a, b, 23, PARITY, 0x6ED9EBA1) R1(b, c, d, e, a, 24, PARITY, 0x6ED9EBA1) R1(a, b, c, d, e, 25, PARITY, 0x6ED9EBA1)
    R1(e, a, b, c, d, 26, PARITY, 0x6ED9EBA1) R1(d, e, a, b, c, 27, PARITY, 0x6ED9EBA1) R1(c, d, e, a, b, 28, PARITY, 0x6ED9EBA1)
    R1(b, c, d, e, a, 29, PARITY, 0x6ED9EBA1) R1(a, b, c, d, e, 30, PARITY, 0x6ED9EBA1) R1(e, a, b, c, d, 31, PARITY, 0x6ED9EBA1)
    R1(d, e, a, b, c, 32, PARITY, 0x6ED9EBA1) R1(c, d, e, a, b, 33, PARITY, 0x6ED9EBA1) R1(b, c, d, e, a, 34, PARITY, 0x6ED9EBA1)
    R1(a, b, c, d, e, 35, PARITY, 0x6ED9EBA1) R1(e, a, b, c, d, 36, PARITY, 0x6ED9EBA1) R1(d, e, a, b, c, 37, PARITY, 0x6ED9EBA1)
    R1(c, d, e, a, b, 38, PARITY, 0x6ED9EBA1) R1(b, c, d, e, a, 39, PARITY, 0x6ED9EBA1)
    R1(a, b, c, d, e, 40, MAJORITY, 0x8F1BBCDC) R1(e, a, b, c, d, 41, MAJORITY, 0x8F1BBCDC) R1(d, e, a, b, c, 42, MAJORITY, 0x8F1BBCDC)
    R1(c, d, e, a, b, 43, MAJORITY, 0x8F1BBCDC) R1(b, c, d, e, a, 44, MAJORITY, 0x8F1BBCDC) R1(a, b, c, d, e, 45, MAJORITY, 0x8F1BBCDC)
    R1(e, a, b, c, d, 46, MAJORITY, 0x8F1BBCDC) R1(d, e, a, b, c, 47, MAJORITY, 0x8F1BBCDC) R1(c, d, e, a, b, 48, MAJORITY, 0x8F1BBCDC)
    R1(b, c, d, e, a, 49, MAJORITY, 0x8F1BBCDC) R1(a, b, c, d, e, 50, MAJORITY, 0x8F1BBCDC) R1(e, a, b, c, d, 51, MAJORITY, 0x8F1BBCDC)
    R1(d, e, a, b, c, 52, MAJORITY, 0x8F1BBCDC) R1(c, d, e, a, b, 53, MAJORITY, 0x8F1BBCDC) R1(b, c, d, e, a, 54, MAJORITY, 0x8F1BBCDC)
    R1(a, b, c, d, e, 55, MAJORITY, 0x8F1BBCDC) R1(e, a, b, c, d, 56, MAJORITY, 0x8F1BBCDC) R1(d, e, a, b, c, 57, MAJORITY, 0x8F1BBCDC)
    R1(c, d, e, a, b, 58, MAJORITY, 0x8F1BBCDC) R1(b, c, d, e, a, 59, MAJORITY, 0x8F1BBCDC)
    R1(a, b, c, d, e, 60, PARITY, 0xCA62C1D6) R1(e, a, b, c, d, 61, PARITY, 0xCA62C1D6) R1(d, e, a, b, c, 62, PARITY, 0xCA62C1D6)
    R1(c, d, e, a, b, 63, PARITY, 0xCA62C1D6) R1(b, c, d, e, a, 64, PARITY, 0xCA62C1D6) R1(a, b, c, d, e, 65, PARITY, 0xCA62C1D6)
    R1(e, a, b, c, d, 66, PARITY, 0xCA62C1D6) R1(d, e, a, b, c, 67, PARITY, 0xCA62C1D6) R1(c, d, e, a, b, 68, PARITY, 0xCA62C1D6)
    R1(b, c, d, e, a, 69, PARITY, 0xCA62C1D6) R1(a, b, c, d, e, 70, PARITY, 0xCA62C1D6) R1(e, a, b, c, d, 71, PARITY, 0xCA62C1D6)
    R1(d, e, a, b, c, 72, PARITY, 0xCA62C1D6) R1(c, d, e, a, b, 73, PARITY, 0xCA62C1D6) R1(b, c, d, e, a, 74, PARITY, 0xCA62C1D6)
    R1(a, b, c, d, e, 75, PARITY, 0xCA62C1D6) R1(e, a, b, c, d, 76, PARITY, 0xCA62C1D6) R1(d, e, a, b, c, 77, PARITY, 0xCA62C1D6)
    R1(c, d, e, a, b, 78, PARITY, 0xCA62C1D6) R1(b, c, d, e, a, 79, PARITY, 0xCA62C1D6)
    s[0] += a; s[1] += b; s[2] += c; s[3] += d; s[4] += e;
}

#define F(x, y, z) CHOOSE(x, y, z)
#define G(x, y, z) CHOOSE(z, x, y)
#define H(x, y, z) PARITY(x, y, z)
#define I(x, y, z) ((y) ^ ((x) | ~(z)))
#define R5(a, b, c, d, f, i, r, k)                                                                                    \
    a += f(b, c, d) + w[i] + k;                                                                                        \
    a = b + ROL32(a, r);

static VOID CompressMd5(PVOID State, const UCHAR *Block, ULONG64 Total, BOOLEAN Last)
{
    PULONG s = State;
    const ULONG *w = (const ULONG *)Block;
    UNREFERENCED_PARAMETER(Total);
    UNREFERENCED_PARAMETER(Last);
    ULONG a = s[0], b = s[1], c = s[2], d = s[3];
    R5(a, b, c, d, F, 0, 7, 0xD76AA478) R5(d, a, b, c, F, 1, 12, 0xE8C7B756) R5(c, d, a, b, F, 2, 17, 0x242070DB)
    R5(b, c, d, a, F, 3, 22, 0xC1BDCEEE) R5(a, b, c, d, F, 4, 7, 0xF57C0FAF) R5(d, a, b, c, F, 5, 12, 0x4787C62A)
    R5(c, d, a, b, F, 6, 17, 0xA8304613) R5(b, c, d, a, F, 7, 22, 0xFD469501) R5(a, b, c, d, F, 8, 7, 0x698098D8)
    R5(d, a, b, c, F, 9, 12, 0x8B44F7AF) R5(c, d, a, b, F, 10, 17, 0xFFFF5BB1) R5(b, c, d, a, F, 11, 22, 0x895CD7BE)
    R5(a, b, c, d, F, 12, 7, 0x6B901122) R5(d, a, b, c, F, 13, 12, 0xFD987193) R5(c, d, a, b, F, 14, 17, 0xA679438E)
    R5(b, c, d, a, F, 15, 22, 0x49B40821) R5(a, b, c, d, G, 1, 5, 0xF61E2562) R5(d, a, b, c, G, 6, 9, 0xC040B340)
    R5(c, d, a, b, G, 11, 14, 0x265E5A51) R5(b, c, d, a, G, 0, 20, 0xE9B6C7AA) R5(a, b, c, d, G, 5, 5, 0xD62F105D)
    R5(d, a, b, c, G, 10, 9, 0x02441453) R5(c, d, a, b, G, 15, 14, 0xD8A1E681) R5(b, c, d, a, G, 4, 20, 0xE7D3FBC8)
    R5(a, b, c, d, G, 9, 5, 0x21E1CDE6) R5(d, a, b, c, G, 14, 9, 0xC33707D6) R5(c, d, a, b, G, 3, 14, 0xF4D50D87)
    R5(b, c, d, a, G, 8, 20, 0x455A14ED) R5(a, b, c, d, G, 13, 5, 0xA9E3E905) R5(d, a, b, c, G, 2, 9, 0xFCEFA3F8)
    R5(c, d, a, b, G, 7, 14, 0x676F02D9) R5(b, c, d, a, G, 12, 20, 0x8D2A4C8A) R5(a, b, c, d, H, 5, 4, 0xFFFA3942)
    R5(d, a, b, c, H, 8, 11, 0x8771F681) R5(c, d, a, b, H, 11, 16, 0x6D9D6122) R5(b, c, d, a, H, 14, 23, 0xFDE5380C)
    R5(a, b, c, d, H, 1, 4, 0xA4BEEA44) R5(d, a, b, c, H, 4, 11, 0x4BDECFA9) R5(c, d, a, b, H, 7, 16, 0xF6BB4B60)
    R5(b, c, d, a, H, 10, 23, 0xBEBFBC70) R5(a, b, c, d, H, 13, 4, 0x289B7EC6) R5(d, a, b, c, H, 0, 11, 0xEAA127FA)
    R5(c, d, a, b, H, 3, 16, 0xD4EF3085) R5(b, c, d, a, H, 6, 23, 0x04881D05) R5(a, b, c, d, H, 9, 4, 0xD9D4D039)
    R5(d, a, b, c, H, 12, 11, 0xE6DB99E5) R5(c, d, a, b, H, 15, 16, 0x1FA27CF8) R5(b, c, d, a, H, 2, 23, 0xC4AC5665)
    R5(a, b, c, d, I, 0, 6, 0xF4292244) R5(d, a, b, c, I, 7, 10, 0x432AFF97) R5(c, d, a, b, I, 14, 15, 0xAB9423A7)
    R5(b, c, d, a, I, 5, 21, 0xFC93A039) R5(a, b, c, d, I, 12, 6, 0x655B59C3) R5(d, a, b, c, I, 3, 10, 0x8F0CCC92)
    R5(c, d, a, b, I, 10, 15, 0xFFEFF47D) R5(b, c, d, a, I, 1, 21, 0x85845DD1) R5(a, b, c, d, I, 8, 6, 0x6FA87E4F)
    R5(d, a, b, c, I, 15, 10, 0xFE2CE6E0) R5(c, d, a, b, I, 6, 15, 0xA3014314) R5(b, c, d, a, I, 13, 21, 0x4E0811A1)
    R5(a, b, c, d, I, 4, 6, 0xF7537E82) R5(d, a, b, c, I, 11, 10, 0xBD3AF235) R5(c, d, a, b, I, 2, 15, 0x2AD7D2BB)
    R5(b, c, d, a, I, 9, 21, 0xEB86D391)
    s[0] += a; s[1] += b; s[2] += c; s[3] += d;
}

#define GMIX(a, b, c, d, x, y)                                                                                        \
    v[a] += v[b] + w[x]; v[d] = ROR(v[d] ^ v[a], R0); v[c] += v[d]; v[b] = ROR(v[b] ^ v[c], RA);                       \
    v[a] += v[b] + w[y]; v[d] = ROR(v[d] ^ v[a], RB); v[c] += v[d]; v[b] = ROR(v[b] ^ v[c], RC);

static const ULONG64 Iv512[8] = {
    0x6A09E667F3BCC908ULL, 0xBB67AE8584CAA73BULL, 0x3C6EF372FE94F82BULL, 0xA54FF53A5F1D36F1ULL,
    0x510E527FADE682D1ULL, 0x9B05688C2B3E6C1FULL, 0x1F83D9ABFB41BD6BULL, 0x5BE0CD19137E2179ULL,
};
static const ULONG Iv256[8] = {
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
};

#define ROR ROR64
#define R0 32
#define RA 24
#define RB 16
#define RC 63
static VOID CompressBlake2b(PVOID State, const UCHAR *Block, ULONG64 Total, BOOLEAN Last)
{
    ULONG64 *s = State;
    const ULONG64 *w = (const ULONG64 *)Block;
    ULONG64 v[16];
    for (int i = 0; i < 8; i++) {
        v[i] = s[i];
        v[i + 8] = Iv512[i];
    }
    v[12] ^= Total;
    v[14] ^= Last ? ~0ULL : 0;
    GMIX(0, 4, 8, 12, 0, 1) GMIX(1, 5, 9, 13, 2, 3) GMIX(2, 6, 10, 14, 4, 5) GMIX(3, 7, 11, 15, 6, 7)
    GMIX(0, 5, 10, 15, 8, 9) GMIX(1, 6, 11, 12, 10, 11) GMIX(2, 7, 8, 13, 12, 13) GMIX(3, 4, 9, 14, 14, 15)
    GMIX(0, 4, 8, 12, 14, 10) GMIX(1, 5, 9, 13, 4, 8) GMIX(2, 6, 10, 14, 9, 15) GMIX(3, 7, 11, 15, 13, 6)
    GMIX(0, 5, 10, 15, 1, 12) GMIX(1, 6, 11, 12, 0, 2) GMIX(2, 7, 8, 13, 11, 7) GMIX(3, 4, 9, 14, 5, 3)
    GMIX(0, 4, 8, 12, 11, 8) GMIX(1, 5, 9, 13, 12, 0) GMIX(2, 6, 10, 14, 5, 2) GMIX(3, 7, 11, 15, 15, 13)
    GMIX(0, 5, 10, 15, 10, 14) GMIX(1, 6, 11, 12, 3, 6) GMIX(2, 7, 8, 13, 7, 1) GMIX(3, 4, 9, 14, 9, 4)
    GMIX(0, 4, 8, 12, 7, 9) GMIX(1, 5, 9, 13, 3, 1) GMIX(2, 6, 10, 14, 13, 12) GMIX(3, 7, 11, 15, 11, 14)
    GMIX(0, 5, 10, 15, 2, 6) GMIX(1, 6, 11, 12, 5, 10) GMIX(2, 7, 8, 13, 4, 0) GMIX(3, 4, 9, 14, 15, 8)
    GMIX(0, 4, 8, 12, 9, 0) GMIX(1, 5, 9, 13, 5, 7) GMIX(2, 6, 10, 14, 2, 4) GMIX(3, 7, 11, 15, 10, 15)
    GMIX(0, 5, 10, 15, 14, 1) GMIX(1, 6, 11, 12, 11, 12) GMIX(2, 7, 8, 13, 6, 8) GMIX(3, 4, 9, 14, 3, 13)
    GMIX(0, 4, 8, 12, 2, 12) GMIX(1, 5, 9, 13, 6, 10) GMIX(2, 6, 10, 14, 0, 11) GMIX(3, 7, 11, 15, 8, 3)
    GMIX(0, 5, 10, 15, 4, 13) GMIX(1, 6, 11, 12, 7, 5) GMIX(2, 7, 8, 13, 15, 14) GMIX(3, 4, 9, 14, 1, 9)
    GMIX(0, 4, 8, 12, 12, 5) GMIX(1, 5, 9, 13, 1, 15) GMIX(2, 6, 10, 14, 14, 13) GMIX(3, 7, 11, 15, 4, 10)
    GMIX(0, 5, 10, 15, 0, 7) GMIX(1, 6, 11, 12, 6, 3) GMIX(2, 7, 8, 13, 9, 2) GMIX(3, 4, 9, 14, 8, 11)
    GMIX(0, 4, 8, 12, 13, 11) GMIX(1, 5, 9, 13, 7, 14) GMIX(2, 6, 10, 14, 12, 1) GMIX(3, 7, 11, 15, 3, 9)
    GMIX(0, 5, 10, 15, 5, 0) GMIX(1, 6, 11, 12, 15, 4) GMIX(2, 7, 8, 13, 8, 6) GMIX(3, 4, 9, 14, 2, 10)
    GMIX(0, 4, 8, 12, 6, 15) GMIX(1, 5, 9, 13, 14, 9) GMIX(2, 6, 10, 14, 11, 3) GMIX(3, 7, 11, 15, 0, 8)
    GMIX(0, 5, 10, 15, 12, 2) GMIX(1, 6, 11, 12, 13, 7) GMIX(2, 7, 8, 13, 1, 4) GMIX(3, 4, 9, 14, 10, 5)
    GMIX(0, 4, 8, 12, 10, 2) GMIX(1, 5, 9, 13, 8, 4) GMIX(2, 6, 10, 14, 7, 6) GMIX(3, 7, 11, 15, 1, 5)
    GMIX(0, 5, 10, 15, 15, 11) GMIX(1, 6, 11, 12, 9, 14) GMIX(2, 7, 8, 13, 3, 12) GMIX(3, 4, 9, 14, 13, 0)
    GMIX(0, 4, 8, 12, 0, 1) GMIX(1, 5, 9, 13, 2, 3) GMIX(2, 6, 10, 14, 4, 5) GMIX(3, 7, 11, 15, 6, 7)
    GMIX(0, 5, 10, 15, 8, 9) GMIX(1, 6, 11, 12, 10, 11) GMIX(2, 7, 8, 13, 12, 13) GMIX(3, 4, 9, 14, 14, 15)
    GMIX(0, 4, 8, 12, 14, 10) GMIX(1, 5, 9, 13, 4, 8) GMIX(2, 6, 10, 14, 9, 15) GMIX(3, 7, 11, 15, 13, 6)
    GMIX(0, 5, 10, 15, 1, 12) GMIX(1, 6, 11, 12, 0, 2) GMIX(2, 7, 8, 13, 11, 7) GMIX(3, 4, 9, 14, 5, 3)
    for (int i = 0; i < 8; i++) {
        s[i] ^= v[i] ^ v[i + 8];
    }
}
#undef ROR
#undef R0
#undef RA
#undef RB
#undef RC

#define ROR ROR32
#define R0 16
#define RA 12
#define RB 8
#define RC 7
static VOID CompressBlake2s(PVOID State, const UCHAR *Block, ULONG64 Total, BOOLEAN Last)
{
    PULONG s = State;
    const ULONG *w = (const ULONG *)Block;
    ULONG v[16];
    for (int i = 0; i < 8; i++) {
        v[i] = s[i];
        v[i + 8] = Iv256[i];
    }
    v[12] ^= (ULONG)Total;
    v[13] ^= (ULONG)(Total >> 32);
    v[14] ^= Last ? ~0U : 0;
    GMIX(0, 4, 8, 12, 0, 1) GMIX(1, 5, 9, 13, 2, 3) GMIX(2, 6, 10, 14, 4, 5) GMIX(3, 7, 11, 15, 6, 7)
    GMIX(0, 5, 10, 15, 8, 9) GMIX(1, 6, 11, 12, 10, 11) GMIX(2, 7, 8, 13, 12, 13) GMIX(3, 4, 9, 14, 14, 15)
    GMIX(0, 4, 8, 12, 14, 10) GMIX(1, 5, 9, 13, 4, 8) GMIX(2, 6, 10, 14, 9, 15) GMIX(3, 7, 11, 15, 13, 6)
    GMIX(0, 5, 10, 15, 1, 12) GMIX(1, 6, 11, 12, 0, 2) GMIX(2, 7, 8, 13, 11, 7) GMIX(3, 4, 9, 14, 5, 3)
    GMIX(0, 4, 8, 12, 11, 8) GMIX(1, 5, 9, 13, 12, 0) GMIX(2, 6, 10, 14, 5, 2) GMIX(3, 7, 11, 15, 15, 13)
    GMIX(0, 5, 10, 15, 10, 14) GMIX(1, 6, 11, 12, 3, 6) GMIX(2, 7, 8, 13, 7, 1) GMIX(3, 4, 9, 14, 9, 4)
    GMIX(0, 4, 8, 12, 7, 9) GMIX(1, 5, 9, 13, 3, 1) GMIX(2, 6, 10, 14, 13, 12) GMIX(3, 7, 11, 15, 11, 14)
    GMIX(0, 5, 10, 15, 2, 6) GMIX(1, 6, 11, 12, 5, 10) GMIX(2, 7, 8, 13, 4, 0) GMIX(3, 4, 9, 14, 15, 8)
    GMIX(0, 4, 8, 12, 9, 0) GMIX(1, 5, 9, 13, 5, 7) GMIX(2, 6, 10, 14, 2, 4) GMIX(3, 7, 11, 15, 10, 15)
    GMIX(0, 5, 10, 15, 14, 1) GMIX(1, 6, 11, 12, 11, 12) GMIX(2, 7, 8, 13, 6, 8) GMIX(3, 4, 9, 14, 3, 13)
    GMIX(0, 4, 8, 12, 2, 12) GMIX(1, 5, 9, 13, 6, 10) GMIX(2, 6, 10, 14, 0, 11) GMIX(3, 7, 11, 15, 8, 3)
    GMIX(0, 5, 10, 15, 4, 13) GMIX(1, 6, 11, 12, 7, 5) GMIX(2, 7, 8, 13, 15, 14) GMIX(3, 4, 9, 14, 1, 9)
    GMIX(0, 4, 8, 12, 12, 5) GMIX(1, 5, 9, 13, 1, 15) GMIX(2, 6, 10, 14, 14, 13) GMIX(3, 7, 11, 15, 4, 10)
    GMIX(0, 5, 10, 15, 0, 7) GMIX(1, 6, 11, 12, 6, 3) GMIX(2, 7, 8, 13, 9, 2) GMIX(3, 4, 9, 14, 8, 11)
    GMIX(0, 4, 8, 12, 13, 11) GMIX(1, 5, 9, 13, 7, 14) GMIX(2, 6, 10, 14, 12, 1) GMIX(3, 7, 11, 15, 3, 9)
    GMIX(0, 5, 10, 15, 5, 0) GMIX(1, 6, 11, 12, 15, 4) GMIX(2, 7, 8, 13, 8, 6) GMIX(3, 4, 9, 14, 2, 10)
    GMIX(0, 4, 8, 12, 6, 15) GMIX(1, 5, 9, 13, 14, 9) GMIX(2, 6, 10, 14, 11, 3) GMIX(3, 7, 11, 15, 0, 8)
    GMIX(0, 5, 10, 15, 12, 2) GMIX(1, 6, 11, 12, 13, 7) GMIX(2, 7, 8, 13, 1, 4) GMIX(3, 4, 9, 14, 10, 5)
    GMIX(0, 4, 8, 12, 10, 2) GMIX(1, 5, 9, 13, 8, 4) GMIX(2, 6, 10, 14, 7, 6) GMIX(3, 7, 11, 15, 1, 5)
    GMIX(0, 5, 10, 15, 15, 11) GMIX(1, 6, 11, 12, 9, 14) GMIX(2, 7, 8, 13, 3, 12) GMIX(3, 4, 9, 14, 13, 0)
    for (int i = 0; i < 8; i++) {
        s[i] ^= v[i] ^ v[i + 8];
    }
}
/* clang-format on */

static VOID PadMerkle(PUCHAR Blocks, ULONG Used, ULONG64 TotalBytes, ULONG BlockBytes, ULONG LengthBytes, BOOLEAN Big,
                      PULONG BlockCount)
{
    ULONG64 bits = TotalBytes * 8;
    *BlockCount = Used + 1 + LengthBytes > BlockBytes ? 2 : 1;
    RtlZeroMemory(Blocks + Used, *BlockCount * BlockBytes - Used);
    Blocks[Used] = 0x80;
    PUCHAR end = Blocks + *BlockCount * BlockBytes;
    for (ULONG i = 0; i < 8; i++) {
        UCHAR byte = (UCHAR)(bits >> (8 * i));
        if (Big) {
            end[-1 - (LONG)i] = byte;
        } else {
            end[(LONG)i - 8] = byte;
        }
    }
}

static VOID Pad64Big(PUCHAR Blocks, ULONG Used, ULONG64 TotalBytes, PULONG BlockCount)
{
    PadMerkle(Blocks, Used, TotalBytes, 64, 8, TRUE, BlockCount);
}

static VOID Pad64Little(PUCHAR Blocks, ULONG Used, ULONG64 TotalBytes, PULONG BlockCount)
{
    PadMerkle(Blocks, Used, TotalBytes, 64, 8, FALSE, BlockCount);
}

static VOID Pad128Big(PUCHAR Blocks, ULONG Used, ULONG64 TotalBytes, PULONG BlockCount)
{
    PadMerkle(Blocks, Used, TotalBytes, 128, 16, TRUE, BlockCount);
}

static const ULONG InitialMd5[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};

/* The first word holds the parameters: no key, fanout 1, depth 1, and the digest's length. */
static const ULONG64 InitialBlake2b[8] = {
    0x6A09E667F2BDC948ULL, 0xBB67AE8584CAA73BULL, 0x3C6EF372FE94F82BULL, 0xA54FF53A5F1D36F1ULL,
    0x510E527FADE682D1ULL, 0x9B05688C2B3E6C1FULL, 0x1F83D9ABFB41BD6BULL, 0x5BE0CD19137E2179ULL,
};
static const ULONG InitialBlake2s[8] = {
    0x6B08E647, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
};

static const UCHAR ExpectedSha256[32] = {
    0x9D, 0x0B, 0xFB, 0x5B, 0x67, 0xD3, 0xD5, 0x34, 0x0F, 0xE9, 0x2D, 0x49, 0xCA, 0x1A, 0xE3, 0x58,
    0x6C, 0x97, 0xDE, 0xAE, 0xFF, 0xE3, 0xE2, 0x68, 0x86, 0x78, 0x86, 0x8F, 0xB2, 0xAE, 0x34, 0xF1,
};

static const UCHAR ExpectedSha512[64] = {
    0x58, 0x93, 0x14, 0x2E, 0xB6, 0x80, 0x88, 0x1D, 0x6E, 0x7D, 0xE6, 0xEB, 0x77, 0x8D, 0x6C, 0x8A,
    0xE9, 0xAE, 0x5D, 0x9F, 0x80, 0x3F, 0xD9, 0xE3, 0x88, 0xC1, 0xA4, 0xCB, 0x7E, 0x4F, 0x10, 0xB1,
    0x03, 0x2F, 0x96, 0x71, 0x64, 0x7E, 0x0B, 0xBB, 0xB7, 0x87, 0x80, 0x4B, 0x1F, 0x5B, 0x61, 0x74,
    0x84, 0xC8, 0xE7, 0xB3, 0xE0, 0x39, 0x2B, 0xCC, 0x81, 0xE2, 0x5D, 0x1A, 0xED, 0x34, 0x8C, 0xC5,
};

static const UCHAR ExpectedSha1[20] = {
    0x43, 0x9A, 0x80, 0xF8, 0x4E, 0x00, 0xDB, 0xB6, 0x73, 0xA4, 0x07, 0x7D, 0x51, 0x48, 0xC8, 0x46,
    0x0C, 0x26, 0xF1, 0xC2,
};

static const UCHAR ExpectedMd5[16] = {
    0x6D, 0xA2, 0x75, 0x3E, 0x63, 0xE8, 0x4F, 0xF1, 0xFE, 0x19, 0x57, 0x25, 0xB5, 0x38, 0x96, 0x71,
};

static const UCHAR ExpectedBlake2b[64] = {
    0x83, 0xD0, 0x8E, 0x91, 0xD7, 0x17, 0x06, 0x87, 0xA8, 0xF8, 0xA2, 0x7B, 0x5B, 0xEF, 0x5B, 0x04,
    0xC6, 0xBE, 0x8C, 0x61, 0xC5, 0x57, 0xE6, 0x9A, 0x0F, 0x01, 0x09, 0xA6, 0x71, 0xA1, 0x9D, 0x94,
    0xF2, 0xD2, 0xFE, 0xEB, 0x7F, 0x81, 0x3E, 0x0D, 0x64, 0x93, 0x96, 0xAA, 0x53, 0x89, 0x4A, 0xF4,
    0x95, 0x1A, 0xF2, 0xA3, 0x6A, 0x85, 0x74, 0x1F, 0xDD, 0xFC, 0x2C, 0x6E, 0x5C, 0x78, 0xF5, 0x00,
};

static const UCHAR ExpectedBlake2s[32] = {
    0xB4, 0x5D, 0xD4, 0x72, 0xEC, 0x04, 0x62, 0x27, 0x01, 0x0B, 0x8A, 0x69, 0x65, 0x74, 0x93, 0xFF,
    0xE5, 0xD7, 0xBE, 0xAF, 0x01, 0x1E, 0x6A, 0x31, 0x18, 0x28, 0xEC, 0x50, 0x3F, 0xCC, 0x1D, 0xCD,
};

static const DIGEST Digests[] = {
    {"SHA-256", 64, 32, 32, Iv256, CompressSha256, Pad64Big, TRUE, 4, ExpectedSha256},
    {"SHA-512", 128, 64, 64, Iv512, CompressSha512, Pad128Big, TRUE, 8, ExpectedSha512},
    {"SHA-1", 64, 20, 20, InitialMd5, CompressSha1, Pad64Big, TRUE, 4, ExpectedSha1},
    {"MD5", 64, 16, 16, InitialMd5, CompressMd5, Pad64Little, FALSE, 4, ExpectedMd5},
    {"BLAKE2b", 128, 64, 64, InitialBlake2b, CompressBlake2b, NULL, FALSE, 8, ExpectedBlake2b},
    {"BLAKE2s", 64, 32, 32, InitialBlake2s, CompressBlake2s, NULL, FALSE, 4, ExpectedBlake2s},
};

static BOOLEAN CheckDigest(const DIGEST *Digest, const UCHAR *Message, ULONG Bytes)
{
    ULONG64 words[MAX_DIGEST_BYTES / sizeof(ULONG64)];
    UCHAR tail[256];
    UCHAR answer[MAX_DIGEST_BYTES];
    ULONG done = 0;

    RtlCopyMemory(words, Digest->Initial, Digest->StateBytes);
    while (Bytes - done > Digest->BlockBytes) {
        done += Digest->BlockBytes;
        Digest->Compress(words, Message + done - Digest->BlockBytes, done, FALSE);
    }
    ULONG rest = Bytes - done;
    RtlCopyMemory(tail, Message + done, rest);
    if (Digest->Pad == NULL) {
        RtlZeroMemory(tail + rest, Digest->BlockBytes - rest);
        Digest->Compress(words, tail, Bytes, TRUE);
    } else {
        ULONG blocks;
        if (rest == Digest->BlockBytes) {
            Digest->Compress(words, tail, Bytes, FALSE);
            rest = 0;
        }
        Digest->Pad(tail, rest, Bytes, &blocks);
        for (ULONG i = 0; i < blocks; i++) {
            Digest->Compress(words, tail + i * Digest->BlockBytes, Bytes, i == blocks - 1);
        }
    }
    for (ULONG i = 0; i < Digest->DigestBytes; i++) {
        ULONG at = Digest->BigEndian ? i ^ (Digest->WordBytes - 1) : i;
        answer[i] = ((const UCHAR *)words)[at];
    }
    return RtlCompareMemory(answer, Digest->Expected, Digest->DigestBytes) == Digest->DigestBytes;
}

static ULONG CheckCrc(const UCHAR *Message, ULONG Bytes)
{
    ULONG table[256];
    for (ULONG i = 0; i < 256; i++) {
        ULONG value = i;
        for (ULONG bit = 0; bit < 8; bit++) {
            value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320 : 0);
        }
        table[i] = value;
    }
    ULONG crc = 0xFFFFFFFF;
    for (ULONG i = 0; i < Bytes; i++) {
        crc = table[(crc ^ Message[i]) & 0xFF] ^ (crc >> 8);
    }
    return ~crc;
}

/* Sorts in place: a heap sort, so that the stack stays flat. */
static VOID SortWords(PULONG Words, ULONG Count)
{
    for (ULONG end = Count, start = Count / 2; end > 1;) {
        if (start > 0) {
            start--;
        } else {
            end--;
            ULONG last = Words[end];
            Words[end] = Words[0];
            Words[0] = last;
        }
        ULONG root = start;
        for (ULONG child = 2 * root + 1; child < end; child = 2 * root + 1) {
            if (child + 1 < end && Words[child] < Words[child + 1]) {
                child++;
            }
            if (Words[root] >= Words[child]) {
                break;
            }
            ULONG swap = Words[root];
            Words[root] = Words[child];
            Words[child] = swap;
            root = child;
        }
    }
}

static ULONG CheckSort(const UCHAR *Message)
{
    PULONG words = ExAllocatePoolWithTag(PagedPool, SORT_COUNT * sizeof(ULONG), TAG_RESULT);
    if (words == NULL) {
        return 0;
    }
    RtlCopyMemory(words, Message, SORT_COUNT * sizeof(ULONG));
    SortWords(words, SORT_COUNT);
    ULONG sum = 0;
    for (ULONG i = 0; i < SORT_COUNT; i++) {
        sum = sum * 16777619 ^ words[i] ^ i;
    }
    ExFreePoolWithTag(words, TAG_RESULT);
    return sum;
}

enum { OP_SET, OP_ADD, OP_MUL, OP_MOD, OP_MOVE, OP_LESS, OP_EQUAL, OP_JUMP, OP_BRANCH, OP_HALT };

typedef struct _INSTRUCTION {
    UCHAR Op;
    UCHAR A;
    UCHAR B;
    SHORT Value;
} INSTRUCTION;

/* Counts the primes below 2000 by trial division, and sums them. */
static const INSTRUCTION Program[] = {
    {OP_SET, 0, 0, 2},     {OP_SET, 1, 0, 0},     {OP_SET, 2, 0, 0},     {OP_SET, 6, 0, 1},
    {OP_SET, 7, 0, 2000},  {OP_SET, 8, 0, 0},
    /* 6: is the candidate below the limit? */
    {OP_MOVE, 5, 0, 0},    {OP_LESS, 5, 7, 0},    {OP_BRANCH, 5, 0, 10}, {OP_HALT, 0, 0, 0},
    /* 10: divisor 2 */
    {OP_SET, 3, 0, 2},
    /* 11: divisor squared beyond the candidate: prime */
    {OP_MOVE, 4, 3, 0},    {OP_MUL, 4, 3, 0},     {OP_MOVE, 5, 0, 0},    {OP_LESS, 5, 4, 0},
    {OP_BRANCH, 5, 0, 22},
    {OP_MOVE, 4, 0, 0},    {OP_MOD, 4, 3, 0},     {OP_EQUAL, 4, 8, 0},   {OP_BRANCH, 4, 0, 24},
    {OP_ADD, 3, 6, 0},     {OP_JUMP, 0, 0, 11},
    /* 22: count and sum */
    {OP_ADD, 1, 6, 0},     {OP_ADD, 2, 0, 0},
    /* 24: next candidate */
    {OP_ADD, 0, 6, 0},     {OP_JUMP, 0, 0, 6},
};

static VOID RunProgram(PULONG Registers)
{
    for (ULONG pc = 0; pc < RTL_NUMBER_OF(Program);) {
        const INSTRUCTION *at = &Program[pc++];
        PULONG a = &Registers[at->A];
        ULONG b = Registers[at->B];
        switch (at->Op) {
        case OP_SET:
            *a = (ULONG)at->Value;
            break;
        case OP_ADD:
            *a += b;
            break;
        case OP_MUL:
            *a *= b;
            break;
        case OP_MOD:
            *a %= b;
            break;
        case OP_MOVE:
            *a = b;
            break;
        case OP_LESS:
            *a = *a < b;
            break;
        case OP_EQUAL:
            *a = *a == b;
            break;
        case OP_JUMP:
            pc = (ULONG)at->Value;
            break;
        case OP_BRANCH:
            if (*a != 0) {
                pc = (ULONG)at->Value;
            }
            break;
        default:
            return;
        }
    }
}

static const CHAR Settings[] =
    "key0=0x0,-500;key1=0x9e3779b1,-499;key2=0x3c6ef362,-496;key3=0xdaa66d13,-491;key4=0x78dde6c4,-484;ke"
    "y5=0x17156075,-475;key6=0xb54cda26,-464;key7=0x538453d7,-451;key8=0xf1bbcd88,-436;key9=0x8ff34739,-4"
    "19;key10=0x2e2ac0ea,-400;key11=0xcc623a9b,-379;key12=0x6a99b44c,-356;key13=0x8d12dfd,-331;key14=0xa7"
    "08a7ae,-304;key15=0x4540215f,-275;key16=0xe3779b10,-244;key17=0x81af14c1,-211;key18=0x1fe68e72,-176;"
    "key19=0xbe1e0823,-139;key20=0x5c5581d4,-100;key21=0xfa8cfb85,-59;key22=0x98c47536,-16;key23=0x36fbee"
    "e7,29;key24=0xd5336898,76;key25=0x736ae249,125;key26=0x11a25bfa,176;key27=0xafd9d5ab,229;key28=0x4e1"
    "14f5c,284;key29=0xec48c90d,341;key30=0x8a8042be,400;key31=0x28b7bc6f,461;key32=0xc6ef3620,524;key33="
    "0x6526afd1,589;key34=0x35e2982,656;key35=0xa195a333,725;key36=0x3fcd1ce4,796;key37=0xde049695,869;ke"
    "y38=0x7c3c1046,944;key39=0x1a7389f7,1021;key40=0xb8ab03a8,1100;key41=0x56e27d59,1181;key42=0xf519f70"
    "a,1264;key43=0x935170bb,1349;key44=0x3188ea6c,1436;key45=0xcfc0641d,1525;key46=0x6df7ddce,1616;key47"
    "=0xc2f577f,1709;key48=0xaa66d130,1804;key49=0x489e4ae1,1901;key50=0xe6d5c492,2000;key51=0x850d3e43,2"
    "101;key52=0x2344b7f4,2204;key53=0xc17c31a5,2309;key54=0x5fb3ab56,2416;key55=0xfdeb2507,2525;key56=0x"
    "9c229eb8,2636;key57=0x3a5a1869,2749;key58=0xd891921a,2864;key59=0x76c90bcb,2981;key60=0x1500857c,310"
    "0;key61=0xb337ff2d,3221;key62=0x516f78de,3344;key63=0xefa6f28f,3469";

/* Reads `name=hex,decimal;` settings and folds their values. */
static ULONG ParseSettings(PCSTR At)
{
    enum { NAME, HEX, DECIMAL } state = NAME;
    ULONG sum = 0, hex = 0;
    LONG decimal = 0;
    BOOLEAN negative = FALSE;
    for (;; At++) {
        CHAR c = *At;
        switch (state) {
        case NAME:
            if (c == '=') {
                state = HEX;
                hex = 0;
                At += 2;
            }
            break;
        case HEX:
            if (c == ',') {
                state = DECIMAL;
                decimal = 0;
                negative = FALSE;
            } else {
                hex = hex * 16 + (ULONG)(c <= '9' ? c - '0' : c - 'a' + 10);
            }
            break;
        case DECIMAL:
            if (c == '-') {
                negative = TRUE;
            } else if (c >= '0' && c <= '9') {
                decimal = decimal * 10 + (c - '0');
            } else {
                sum = sum * 31 + hex + (ULONG)(negative ? -decimal : decimal);
                state = NAME;
            }
            break;
        }
        if (c == '\0') {
            return sum;
        }
    }
}

static NTSTATUS CheckAll(PBIG_EXTENSION Extension)
{
    for (ULONG i = 0; i < RTL_NUMBER_OF(Digests); i++) {
        if (!CheckDigest(&Digests[i], Extension->Message, MESSAGE_BYTES)) {
            DbgPrint("big: %s differs\n", Digests[i].Name);
            return STATUS_DATA_ERROR;
        }
    }
    ULONG registers[9] = {0};
    RunProgram(registers);
    if (CheckCrc(Extension->Message, MESSAGE_BYTES) != 0x93A421FE || CheckSort(Extension->Message) != 0x15ACE3C8 ||
        registers[1] != 303 || registers[2] != 277050 || ParseSettings(Settings) != 0x35916A00) {
        DbgPrint("big: an answer differs\n");
        return STATUS_DATA_ERROR;
    }
    Extension->ChecksRun++;
    return STATUS_SUCCESS;
}

static NTSTATUS BigCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS BigControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    if (stack->Parameters.DeviceIoControl.IoControlCode != IOCTL_BIG_CHECK) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleComplete(Irp, CheckAll(DeviceObject->DeviceExtension), 0);
}

static VOID BigUnload(PDRIVER_OBJECT DriverObject)
{
    PBIG_EXTENSION extension = DriverObject->DeviceObject->DeviceExtension;
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\PoolproofBig");
    IoDeleteSymbolicLink(&link);
    ExFreePoolWithTag(extension->Message, TAG_MESSAGE);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\PoolproofBig");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\PoolproofBig");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(BIG_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PBIG_EXTENSION extension = device->DeviceExtension;
    extension->Message = ExAllocatePoolWithTag(PagedPool, MESSAGE_BYTES, TAG_MESSAGE);
    if (extension->Message == NULL) {
        IoDeleteDevice(device);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ULONG x = 0x2545F491;
    for (ULONG i = 0; i < MESSAGE_BYTES; i += 4) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        *(PULONG)(extension->Message + i) = x;
    }
    status = CheckAll(extension);
    if (NT_SUCCESS(status)) {
        status = IoCreateSymbolicLink(&link, &name);
    }
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(extension->Message, TAG_MESSAGE);
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = BigCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = BigCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = BigControl;
    DriverObject->DriverUnload = BigUnload;
    return STATUS_SUCCESS;
}
