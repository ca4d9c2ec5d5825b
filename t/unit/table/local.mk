# t/unit/table
