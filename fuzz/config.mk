# Fuzz targets of lib/config.
FUZZ_TARGETS += fuzz/fuzz_main_cf fuzz/fuzz_main_cf_expand fuzz/fuzz_master_cf fuzz/fuzz_config_decode
fuzz_fuzz_main_cf_SOURCES = fuzz/fuzz_main_cf.c fuzz/replay_main.c
fuzz_fuzz_main_cf_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_INCLUDE)
fuzz_fuzz_main_cf_LDADD = $(CONFIG_LINK)
fuzz_fuzz_main_cf_expand_SOURCES = fuzz/fuzz_main_cf_expand.c fuzz/replay_main.c
fuzz_fuzz_main_cf_expand_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_INCLUDE)
fuzz_fuzz_main_cf_expand_LDADD = $(CONFIG_LINK)
fuzz_fuzz_master_cf_SOURCES = fuzz/fuzz_master_cf.c fuzz/replay_main.c
fuzz_fuzz_master_cf_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_INCLUDE)
fuzz_fuzz_master_cf_LDADD = $(CONFIG_LINK)
fuzz_fuzz_config_decode_SOURCES = fuzz/fuzz_config_decode.c fuzz/replay_main.c
fuzz_fuzz_config_decode_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_INCLUDE)
fuzz_fuzz_config_decode_LDADD = $(CONFIG_LINK)
