#include "lists/list.h"

static u32 third(u32 x) { return mixTwice(x, 3) + 1; }

static u32 second(u32 x)
{
    u32 a = third(x);
    u32 b = third(a);
    return a * b;
}

u32 scoreOf(u32 x)
{
    switch (x) {
    case 0: return second(1);
    case 1: return 7;
    case 2: return mix(x, 2);
    case 3: return second(x) + 4;
    case 4: return x / (x - 3);
    case 5: return second(second(x));
    }
    return second(x) + mix(x, (u32)pushes);
}

#line 500 "generated/walk.y"
void walk(Node *node)
{
    while (node) {
        Node *next = node->next;
        for (u32 i = 0; i < sizeof node->data; i++)
            node->data[i] = (u8)mix(i, node->value);
        if (__builtin_expect(node->value == 12345, 0))
            KeBugCheckEx(1, node->value, 0, 0, 0);
        ExFreePoolWithTag(node, 0x74736554);
        node = next;
    }
}
