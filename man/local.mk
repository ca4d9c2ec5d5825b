# man
# ternmap, ternalias, table types
dist_man_MANS += man/ternmap.1 man/ternalias.1 man/tern-tables.5
# tern, master, log
dist_man_MANS += man/tern.8 man/tern-master.8 man/tern-log.8
