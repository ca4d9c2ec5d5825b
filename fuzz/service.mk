# Fuzz targets of lib/service.
