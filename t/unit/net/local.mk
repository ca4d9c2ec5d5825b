# t/unit/net
