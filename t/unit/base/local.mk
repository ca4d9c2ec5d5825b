# t/unit/base
