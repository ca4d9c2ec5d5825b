# Fuzz targets of lib/config.
