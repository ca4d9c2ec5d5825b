/* What the unit tables of lib/mail share: cmocka, and comparing a str. */
#ifndef TERN_T_EXPECT_H
#define TERN_T_EXPECT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "buf.h"
#include "str.h"

static inline void expect_str_at(struct str got, const char *wanted, const char *what, const char *file, int line) {
    size_t length = strlen(wanted);
    if (got.length != length || memcmp(got.data, wanted, length) != 0) {
        print_error("%s: got \"%.*s\", wanted \"%s\"\n", what, STR_ARGS(got), wanted);
        _fail(file, line);
    }
}
#define expect_str(got, wanted, what) expect_str_at((got), (wanted), (what), __FILE__, __LINE__)

#define expect_int(got, wanted, what)                                                                                  \
    do {                                                                                                               \
        long long got_ = (long long)(got), wanted_ = (long long)(wanted);                                              \
        if (got_ != wanted_) {                                                                                         \
            print_error("%s: got %lld, wanted %lld\n", (what), got_, wanted_);                                         \
            _fail(__FILE__, __LINE__);                                                                                 \
        }                                                                                                              \
    } while (0)

#endif
