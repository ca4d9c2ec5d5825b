# lib/table

FUZZ_TARGETS += fuzz/fuzz_pcre_file
fuzz_fuzz_pcre_file_SOURCES = fuzz/fuzz_pcre_file.c fuzz/replay_main.c
fuzz_fuzz_pcre_file_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE)
fuzz_fuzz_pcre_file_LDADD = $(TABLE_LINK)

FUZZ_TARGETS += fuzz/fuzz_cidr_file
fuzz_fuzz_cidr_file_SOURCES = fuzz/fuzz_cidr_file.c fuzz/replay_main.c
fuzz_fuzz_cidr_file_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE)
fuzz_fuzz_cidr_file_LDADD = $(TABLE_LINK)

FUZZ_TARGETS += fuzz/fuzz_table_source
fuzz_fuzz_table_source_SOURCES = fuzz/fuzz_table_source.c fuzz/replay_main.c
fuzz_fuzz_table_source_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE)
fuzz_fuzz_table_source_LDADD = $(TABLE_LINK)

FUZZ_TARGETS += fuzz/fuzz_alias_members
fuzz_fuzz_alias_members_SOURCES = fuzz/fuzz_alias_members.c fuzz/replay_main.c
fuzz_fuzz_alias_members_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE)
fuzz_fuzz_alias_members_LDADD = $(TABLE_LINK)

FUZZ_TARGETS += fuzz/fuzz_table_open
fuzz_fuzz_table_open_SOURCES = fuzz/fuzz_table_open.c fuzz/replay_main.c
fuzz_fuzz_table_open_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE)
fuzz_fuzz_table_open_LDADD = $(TABLE_LINK)

FUZZ_TARGETS += fuzz/fuzz_match_list
fuzz_fuzz_match_list_SOURCES = fuzz/fuzz_match_list.c fuzz/replay_main.c
fuzz_fuzz_match_list_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE)
fuzz_fuzz_match_list_LDADD = $(TABLE_LINK)
