/* maildir_sweep: what a crash has left in a Maildir's tmp/. */
#ifndef TERN_MAILDIR_SWEEP_H
#define TERN_MAILDIR_SWEEP_H

/* Removes files of tmp/ that nobody has touched for 36 hours, as the format asks of who reads it. Looks once a day and
 * process for each Maildir, and says nothing of what it cannot see or remove. directory: the Maildir's descriptor,
 * which stays the caller's. Threads may call it at the same time. */
void maildir_sweep(int directory);

#endif
