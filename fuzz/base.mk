# Fuzz targets of lib/base.
FUZZ_TARGETS += fuzz/fuzz_str
fuzz_fuzz_str_SOURCES = fuzz/fuzz_str.c fuzz/replay_main.c
fuzz_fuzz_str_CPPFLAGS = $(AM_CPPFLAGS) $(BASE_INCLUDE)
fuzz_fuzz_str_LDADD = $(BASE_LINK)
