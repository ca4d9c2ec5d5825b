/* tlsrpt: the daemon's context, and what its files offer each other. */
#ifndef TERN_TLSRPT_H
#define TERN_TLSRPT_H

#include "config.h"
#include "hash.h"
#include "intake.h"
#include "ipc.h"
#include "service.h"
#include "tlsrpt_record.h"
#include "tlsrpt_report.h"

#define SECONDS_OF_DAY 86400

/* One report to be: a domain and a part of a UTC day, as a rule all of it. */
struct report {
    struct report *next, **previous;
    struct tlsrpt_day *day;
    char *domain;
    int64_t begin; /* seconds; with the domain it names the file */
    int64_t end;   /* when closed: the last second of it */
    bool closed;   /* no result is added any more */
    bool dirty;    /* not on disk as it is */
    bool sending;
    int64_t due;       /* when closed: date of the next attempt */
    int64_t give_up;   /* when closed: after this date it is dropped */
    unsigned attempts; /* that failed */
};

struct tlsrpt {
    struct service *service;
    const struct config *config;
    struct intake_source *intake;
    struct ipc_client *fetch;
    int directory;
    struct report *reports; /* all */
    size_t count;
    struct map *open; /* those that results are added to, by domain */
    unsigned sending; /* tasks */
    bool limit_told;
    bool loaded; /* the journal is ours, and has been read */
};

int64_t tlsrpt_now(void);

/* ---- gather.c */

/* Adds a result to its domain's report. */
void gather_result(struct tlsrpt *tlsrpt, const struct ipc_tlsrpt_result *result);
/* Sets aside what came before the journal was read, and adds it again afterwards. */
struct report *gather_set_aside(struct tlsrpt *tlsrpt);
void gather_add_again(struct tlsrpt *tlsrpt, struct report *early);
/* Takes over what the journal has. */
void gather_restore(struct tlsrpt *tlsrpt, struct str domain, int64_t begin, struct tlsrpt_day *day);
/* Closes the reports whose day is over. */
void gather_close_days(struct tlsrpt *tlsrpt);
/* Closes a report now; it is due now, too. */
void gather_close_now(struct tlsrpt *tlsrpt, struct report *report);
/* Takes it out and frees it; its file stays. */
void gather_drop(struct tlsrpt *tlsrpt, struct report *report);

/* ---- journal.c: a file for each report */

/* Takes the journal's lock, if the process that is being replaced holds it no more. */
MUST_USE bool journal_lock(struct tlsrpt *tlsrpt);
/* Reads what earlier processes left. */
void journal_load(struct tlsrpt *tlsrpt);
/* Writes what has changed. */
void journal_save(struct tlsrpt *tlsrpt);
void journal_remove(struct tlsrpt *tlsrpt, const struct report *report);

/* ---- send.c */

/* Starts tasks for what is due. */
void send_due(struct tlsrpt *tlsrpt);
/* Sends one closed report to all places that have not had it, once; then the report is dropped, or is due later.
 * Task context. True if it has been sent. */
bool send_report(struct tlsrpt *tlsrpt, struct report *report);

/* ---- letter.c: the report as mail (RFC 8460 section 5.3) */

/* The report's file name there, "SENDER!DOMAIN!BEGIN!END.json.gz". */
void letter_file_name(const struct tlsrpt *tlsrpt, const struct report *report, struct buf *name);
/* The report's ID, without angle brackets. */
void letter_report_id(const struct tlsrpt *tlsrpt, const struct report *report, struct buf *id);
/* Hands the report, in gzip, to cleanup as mail to an address; queue_id gets its ID. */
MUST_USE bool letter_send(struct tlsrpt *tlsrpt, const struct report *report, struct str address, struct str packed,
                          char queue_id[24], struct failure *failure);

#endif
