#include "mixing.h"

namespace shop {
namespace {
struct Content {
    int weight;
    int grams() const { return weight * 3; }
};
}

class Box {
public:
    Content content;
    static int made;
    Box(int weight);
    int twice() const;
    template <class T> T add(T more) { return more + content.grams(); }
};

int Box::made = 5;
Box::Box(int weight) { content.weight = weight; made++; }
__attribute__((noinline)) int Box::twice() const { return content.grams() * 2; }
static int counter;
}

extern "C" u32 weighBoxes(u32 value)
{
    struct Local {
        static int half(int x) { return x / 2; }
    };
    shop::Box box((int)value);
    shop::counter++;
    auto heavier = [&](int by) { return box.add<int>(by) + (int)mix((u32)by, 9); };
    return (u32)(box.twice() + heavier(4) + Local::half(shop::counter));
}
