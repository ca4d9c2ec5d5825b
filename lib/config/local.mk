noinst_LIBRARIES += lib/config/libconfig.a
lib_config_libconfig_a_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_INCLUDE)
lib_config_libconfig_a_SOURCES =
