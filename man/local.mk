# man
# ternmap, ternalias, table types
dist_man_MANS += man/ternmap.1 man/ternalias.1 man/tern-tables.5
