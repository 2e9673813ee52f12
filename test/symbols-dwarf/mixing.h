#pragma once
#include "kernel.h"

static inline __attribute__((always_inline)) u32 mix(u32 a, u32 b)
{
    a ^= b << 7;
    a += 0x9e3779b9;
    return (a << 3) | (a >> 29);
}

static inline __attribute__((always_inline)) u32 mixTwice(u32 a, u32 b)
{
    u32 once = mix(a, b);
    if (once & 1)
        once = mix(once, a);
    return once;
}
