# pam: asks PAM for auth. Without libpam it is not built, and the source says so.
noinst_LIBRARIES += pam/libchecker.a
pam_libchecker_a_SOURCES = pam/pam.h
if HAVE_PAM
pam_libchecker_a_SOURCES += pam/check.c pam/checker.c
tern_PROGRAMS += pam/pam
endif
pam_libchecker_a_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
pam_pam_SOURCES = pam/pam.c
pam_pam_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
pam_pam_LDADD = pam/libchecker.a $(CLIENT_LINK) $(PAM_LIBS) $(FAULT_LINK)
if SANITIZERS
# AddressSanitizer calls crypt in libcrypt's place, and looks for the real one at the start: before a module brings it.
pam_pam_LDFLAGS = $(AM_LDFLAGS) -Wl,--no-as-needed $(CRYPT_LIBS) -Wl,--as-needed
else
pam_pam_LDFLAGS = $(AM_LDFLAGS)
endif
