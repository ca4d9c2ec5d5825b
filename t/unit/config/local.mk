# t/unit/config
