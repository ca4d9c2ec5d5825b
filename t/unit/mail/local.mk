# t/unit/mail
