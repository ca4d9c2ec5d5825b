# t/unit/queue
