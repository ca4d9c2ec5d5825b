# t/unit/service
