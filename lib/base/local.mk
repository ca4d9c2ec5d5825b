noinst_LIBRARIES += lib/base/libbase.a
lib_base_libbase_a_CPPFLAGS = $(AM_CPPFLAGS) $(BASE_INCLUDE)
lib_base_libbase_a_SOURCES =
