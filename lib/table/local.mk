noinst_LIBRARIES += lib/table/libtable.a
lib_table_libtable_a_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE)
lib_table_libtable_a_SOURCES =
