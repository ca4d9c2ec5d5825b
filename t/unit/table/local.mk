# lib/table

UNIT_TESTS += t/unit/table/test_table_types
t_unit_table_test_table_types_SOURCES = t/unit/table/test_table_types.c
t_unit_table_test_table_types_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_table_test_table_types_LDADD = $(TABLE_LINK) $(CMOCKA_LIBS)

UNIT_TESTS += t/unit/table/test_match_list
t_unit_table_test_match_list_SOURCES = t/unit/table/test_match_list.c
t_unit_table_test_match_list_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_table_test_match_list_LDADD = $(TABLE_LINK) $(CMOCKA_LIBS)

UNIT_TESTS += t/unit/table/test_alias_members
t_unit_table_test_alias_members_SOURCES = t/unit/table/test_alias_members.c
t_unit_table_test_alias_members_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_table_test_alias_members_LDADD = $(TABLE_LINK) $(CMOCKA_LIBS)

UNIT_TESTS += t/unit/table/test_lmdb_table
t_unit_table_test_lmdb_table_SOURCES = t/unit/table/test_lmdb_table.c
t_unit_table_test_lmdb_table_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_table_test_lmdb_table_LDADD = $(TABLE_LINK) $(CMOCKA_LIBS)
