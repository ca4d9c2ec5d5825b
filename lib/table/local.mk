noinst_LIBRARIES += lib/table/libtable.a
lib_table_libtable_a_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE) $(PCRE2_CFLAGS) $(LMDB_CFLAGS)
lib_table_libtable_a_SOURCES = \
	lib/table/alias_members.c \
	lib/table/alias_members.h \
	lib/table/cidr_table.c \
	lib/table/entry_map.c \
	lib/table/entry_map.h \
	lib/table/inline_rules.c \
	lib/table/inline_rules.h \
	lib/table/inline_table.c \
	lib/table/ip_prefix.c \
	lib/table/ip_prefix.h \
	lib/table/lmdb_build.c \
	lib/table/lmdb_build.h \
	lib/table/lmdb_table.c \
	lib/table/logical_lines.c \
	lib/table/logical_lines.h \
	lib/table/match_list.c \
	lib/table/match_list.h \
	lib/table/nested_tables.c \
	lib/table/pattern_file.c \
	lib/table/pattern_file.h \
	lib/table/pcre_table.c \
	lib/table/regexp_table.c \
	lib/table/simple_tables.c \
	lib/table/table.c \
	lib/table/table_open.c \
	lib/table/table.h \
	lib/table/table_file.c \
	lib/table/table_file.h \
	lib/table/table_source.c \
	lib/table/table_source.h \
	lib/table/table_types.c \
	lib/table/table_types.h \
	lib/table/table_words.c \
	lib/table/table_words.h \
	lib/table/texthash_table.c
