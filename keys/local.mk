tern_PROGRAMS += keys/keys
# What it understands of the files; tern check uses it too.
KEYS_FILES_SOURCES = keys/material.c keys/material.h keys/key_store.c keys/key_store.h
keys_keys_SOURCES = keys/keys.c keys/keys_daemon.h keys/sign.c keys/tickets.c keys/tickets.h keys/reader.c keys/reader.h \
	$(KEYS_FILES_SOURCES)
keys_keys_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
keys_keys_LDADD = $(CLIENT_LINK) $(FAULT_LINK)
