# t/unit/log
