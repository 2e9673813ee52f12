/*
 * Prints, for conversions that ISO C and Microsoft's CRT define alike, what the C library makes of them:
 *     format <tab> argument (decimal, or text after a colon) <tab> result
 * The table beside this file is its output: cc -o generate generate.c && ./generate > expected.tsv
 */
#include <stdio.h>
#include <string.h>

static const char *const flags[] = {"", "-", "+", " ", "#", "0", "-0", "+0", " 0", "#0", "-#", "+ "};
static const char *const widths[] = {"", "1", "6", "12"};
static const char *const precisions[] = {"", ".", ".0", ".1", ".4", ".9"};
static const char *const sizes[] = {"", "h", "hh", "ll", "z"};
static const char conversions[] = "diuxXo";
static const long long values[] = {0, 1, -1, 42, -129, 255, 65536, 2147483647, -2147483648LL, 0x123456789abcdefLL};
static const char *const texts[] = {"", "a", "leak", "longer than it"};

static int isSigned(char conversion) { return conversion == 'd' || conversion == 'i'; }

int main(void) {
  char format[64], result[256];
  unsigned pick = 0;
  for (unsigned f = 0; f < sizeof flags / sizeof *flags; f++)
    for (unsigned w = 0; w < sizeof widths / sizeof *widths; w++)
      for (unsigned p = 0; p < sizeof precisions / sizeof *precisions; p++) {
        for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++)
          for (const char *c = conversions; *c; c++) {
            /* One value for each combination, all values in turn. */
            long long value = values[pick++ % (sizeof values / sizeof *values)];
            /* The sign flags have no meaning for unsigned conversions, nor # for decimal ones. */
            if (!isSigned(*c) && strpbrk(flags[f], "+ ")) continue;
            if (strchr("diu", *c) && strchr(flags[f], '#')) continue;
            snprintf(format, sizeof format, "%%%s%s%s%s%c", flags[f], widths[w], precisions[p], sizes[s], *c);
            if (sizes[s][0] == 'l' || sizes[s][0] == 'z') snprintf(result, sizeof result, format, value);
            else snprintf(result, sizeof result, format, (int)value);
            printf("%s\t%lld\t%s\n", format, value, result);
          }
        if (strpbrk(flags[f], "+ #0")) continue;
        snprintf(format, sizeof format, "%%%s%s%ss", flags[f], widths[w], precisions[p]);
        for (unsigned t = 0; t < sizeof texts / sizeof *texts; t++) {
          snprintf(result, sizeof result, format, texts[t]);
          printf("%s\t:%s\t%s\n", format, texts[t], result);
        }
      }
  return 0;
}
