# t/unit/client
