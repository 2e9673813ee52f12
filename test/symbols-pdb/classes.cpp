extern "C" unsigned int DbgPrint(const char *format, ...);

namespace ns {
namespace {
struct Box {
  int v;
  inline __attribute__((always_inline)) int get(int k) const {
    DbgPrint("box %d", v);
    return v + k;
  }
  __attribute__((noinline)) int far(int k) { return get(k) * get(k + 1); }
};

inline __attribute__((always_inline)) int twice(Box &b) { return b.get(1) + b.get(2); }
} // namespace

template <class T> __attribute__((noinline)) T apply(T x) {
  Box b{(int)x};
  return (T)(twice(b) + b.far(3));
}

int run(int x) { return apply(x) + (int)apply((long long)x); }
int s_State;
} // namespace ns

extern "C" int cppRun(int x) { return ns::run(x) + ns::s_State++; }
