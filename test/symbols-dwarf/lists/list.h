#pragma once
#include "../mixing.h"

typedef struct Node {
    struct Node *next;
    u32 value;
    u8 data[16];
} Node;

extern volatile int pushes;

static inline Node *newNode(u32 value)
{
    Node *node = (Node *)ExAllocatePoolWithTag(0, sizeof(Node), 0x74736554);
    if (!node)
        return 0;
    node->value = mixTwice(value, value + 1);
    node->next = 0;
    return node;
}

static inline void push(Node **head, u32 value)
{
    Node *node = newNode(value);
    if (node) {
        node->next = *head;
        *head = node;
        pushes++;
    }
}
