#include "lists/list.h"

volatile int pushes;
Node *head;
Node spare;
const u8 title[7] = "driver";
static u32 weights[2][4] = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 } };
void walk(Node *node);

__attribute__((noinline, cold)) static void giveUp(u32 code)
{
    static int attempts;
    attempts++;
    KeBugCheckEx(0xe2, code, (u32)attempts, 0, 0);
}

__attribute__((noinline)) u32 fill(Node **list, u32 count)
{
    u32 sum = 0;
    for (u32 i = 0; i < count; i++) {
        push(list, i);
        sum += mixTwice(i, weights[i & 1][i & 3]);
        if (__builtin_expect(sum == 77, 0)) {
            push(list, sum);
            giveUp(sum);
        }
    }
    return sum + scoreOf(count);
}

static void unload(void *driver)
{
    (void)driver;
    walk(head);
}

int DriverEntry(void **driver, void *path)
{
    (void)path;
    driver[13] = (void *)unload;
    return fill(&head, 10) == 3;
}
