/* pop3_line: a POP3 command's line (RFC 1939 section 3, RFC 2449 section 4), the words of CAPA, the texts of UIDL.
 * Pure; the front and the session share it. */
#ifndef TERN_POP3_LINE_H
#define TERN_POP3_LINE_H

#include "buf.h"
#include "compiler.h"
#include "str.h"

enum pop3_state { POP3_AUTHORIZATION = 1, POP3_TRANSACTION = 2 };
#define POP3_WHOLE         99 /* arguments: the rest of the line, spaces and all, is one */
#define POP3_ARGUMENTS_MAX 2
#define POP3_UIDL_MAX      400 /* octets; RFC 1939 has 70, which only names of files (%f) exceed */

enum pop3_word {
#define POP3_COMMAND(word, states, least, most, capability) POP3_##word,
#include "pop3_commands.def"
#undef POP3_COMMAND
    POP3_WORDS
};

struct pop3_line {
    enum pop3_word word; /* POP3_NONE: an unknown one, or not in this state, or wrong arguments: error says which */
    struct str arguments[POP3_ARGUMENTS_MAX]; /* borrowed from the line */
    unsigned count;
    const char *error;
};

/* Takes a line without its line end to pieces. False: word is POP3_NONE. */
MUST_USE bool pop3_line_parse(struct str text, enum pop3_state state, struct pop3_line *line);
/* A message's number: 1 to count. */
MUST_USE bool pop3_number(struct str text, uint32_t count, uint32_t *number);
/* CAPA's words that come from the table of commands and from nothing that is configured, a line each. login_delay:
 * seconds; 0: none. */
void pop3_capabilities(unsigned login_delay, struct buf *text);
/* CAPA's words for USER and AUTH, with these mechanisms. */
void pop3_logins(struct str mechanisms, struct buf *text);
/* LANG's answer (RFC 6856 section 3): there is one language. has_argument false: the list. */
void pop3_language(bool has_argument, struct str argument, struct buf *text);

/* A format of unique IDs, with Dovecot's % words: %u UID, %v UIDVALIDITY, %f the file's name without its flags, %%
 * itself; between % and u or v may stand a width, which begins with 0 to fill with zeroes, and X for hexadecimal. */
MUST_USE bool pop3_uidl_is_valid(struct str format);
/* Appends a message's; a format that is not valid is taken as far as it goes. What cannot stand in a unique ID becomes
 * _. */
void pop3_uidl_append(struct str format, uint32_t uid, uint32_t uid_validity, struct str file_name, struct buf *text);
/* Whether the format has %f. */
bool pop3_uidl_wants_name(struct str format);

#endif
