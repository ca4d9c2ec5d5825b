# Fuzz targets of smtpd.
