# bench: what the SMTP benchmark's harness needs to drive tern
EXTRA_DIST += bench/adapters
