/* reply_policy: what a server's reply means at each stage. Pure. */
#ifndef TERN_REPLY_POLICY_H
#define TERN_REPLY_POLICY_H

#include "status_code.h"

/* X(NAME, "while ...", "in reply to ...") in the words that Postfix's log has. */
#define SMTP_STAGE_TABLE(X)                                                                                            \
    X(GREETING, "receiving the initial server greeting", "initial connection")                                         \
    X(EHLO, "performing the EHLO handshake", "EHLO command")                                                           \
    X(HELO, "performing the HELO handshake", "HELO command")                                                           \
    X(LHLO, "performing the LHLO handshake", "LHLO command")                                                           \
    X(AUTH, "performing SASL authentication", "AUTH command")                                                          \
    X(STARTTLS, "performing the STARTTLS handshake", "STARTTLS command")                                               \
    X(XFORWARD, "sending XFORWARD", "XFORWARD command")                                                                \
    X(MAIL, "sending MAIL FROM", "MAIL FROM command")                                                                  \
    X(RCPT, "sending RCPT TO", "RCPT TO command")                                                                      \
    X(DATA, "sending DATA command", "DATA command")                                                                    \
    X(BODY, "sending message body", "end of DATA command")                                                             \
    X(END, "sending end of data -- message may be sent more than once", "end of DATA command")                         \
    X(RSET, "sending final RSET", "final RSET command")                                                                \
    X(QUIT, "sending QUIT", "QUIT command")

enum smtp_stage {
#define SMTP_STAGE_ENUM(name, state, command) STAGE_##name,
    SMTP_STAGE_TABLE(SMTP_STAGE_ENUM)
#undef SMTP_STAGE_ENUM
};

/* "sending RCPT TO", after "while". */
const char *smtp_stage_state(enum smtp_stage stage);
/* "RCPT TO command", after "in reply to". */
const char *smtp_stage_command(enum smtp_stage stage);

enum reply_verdict {
    REPLY_GOOD,  /* go on */
    REPLY_DEFER, /* not now: another host, another time */
    REPLY_FAIL,  /* never */
};

struct reply_judgement {
    enum reply_verdict verdict;
    struct status_code status; /* to record */
    bool closes;               /* 421: the server closes the connection */
    bool protocol_error;       /* a reply that has no place here */
};

/* enhanced: the reply's own, class 0 for none. skip_5xx_greeting: a permanent
 * refusal in the greeting is one of this host, not of the mail. */
struct reply_judgement reply_judge(enum smtp_stage stage, unsigned code, struct status_code enhanced,
                                   bool skip_5xx_greeting);

#endif
