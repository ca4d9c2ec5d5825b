# Unit tables of auth.
