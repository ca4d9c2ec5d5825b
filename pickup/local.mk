tern_PROGRAMS += pickup/pickup
pickup_pickup_SOURCES = pickup/pickup.c pickup/pickup.h pickup/callers.c pickup/submission.c \
	pickup/letterhead.c pickup/drop_folder.c
pickup_pickup_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
pickup_pickup_LDADD = $(CLIENT_LINK) $(FAULT_LINK)
