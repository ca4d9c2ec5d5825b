tern_PROGRAMS += bounce/bounce
bounce_bounce_SOURCES = bounce/bounce.c bounce/bounce.h bounce/notice.c
bounce_bounce_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
bounce_bounce_LDADD = $(CLIENT_LINK) $(FAULT_LINK)
