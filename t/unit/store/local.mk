# Unit tables of lib/store
STORE_TEST_CPPFLAGS = $(AM_CPPFLAGS) $(STORE_INCLUDE) $(CMOCKA_CFLAGS)
STORE_TEST_LDADD = $(STORE_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/store/test_folder
t_unit_store_test_folder_SOURCES = t/unit/store/test_folder.c t/unit/store/setup.h
t_unit_store_test_folder_CPPFLAGS = $(STORE_TEST_CPPFLAGS)
t_unit_store_test_folder_LDADD = $(STORE_TEST_LDADD)
UNIT_TESTS += t/unit/store/test_folder_others
t_unit_store_test_folder_others_SOURCES = t/unit/store/test_folder_others.c t/unit/store/setup.h
t_unit_store_test_folder_others_CPPFLAGS = $(STORE_TEST_CPPFLAGS)
t_unit_store_test_folder_others_LDADD = $(STORE_TEST_LDADD)
