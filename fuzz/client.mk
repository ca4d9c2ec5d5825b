# Fuzz targets of lib/client.
