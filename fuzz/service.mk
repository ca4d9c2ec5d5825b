# Fuzz targets of lib/service.
FUZZ_TARGETS += fuzz/fuzz_ipc
fuzz_fuzz_ipc_SOURCES = fuzz/fuzz_ipc.c fuzz/replay_main.c
fuzz_fuzz_ipc_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE)
fuzz_fuzz_ipc_LDADD = $(SERVICE_LINK)
