# t/unit/bounce
