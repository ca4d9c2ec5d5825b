# ctl
# ternmap, ternalias (also called newaliases)
sbin_PROGRAMS += ctl/ternmap ctl/ternalias
ctl_ternmap_SOURCES = ctl/ternmap.c ctl/table_tool.c ctl/table_tool.h ctl/table_tool_config.c ctl/table_tool_config.h
ctl_ternmap_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE) $(PATHS_CPPFLAGS)
ctl_ternmap_LDADD = $(TABLE_LINK)
ctl_ternalias_SOURCES = ctl/ternalias.c ctl/table_tool.c ctl/table_tool.h ctl/table_tool_config.c ctl/table_tool_config.h
ctl_ternalias_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE) $(PATHS_CPPFLAGS)
ctl_ternalias_LDADD = $(TABLE_LINK)
