/* status_code: enhanced mail system status codes.
 *
 * RFC 3463, RFC 5248 and the registry. The rows below are those that tern
 * itself gives; any other code is carried as numbers. */
#ifndef TERN_STATUS_CODE_H
#define TERN_STATUS_CODE_H

#include "buf.h"
#include "str.h"

struct status_code {
    uint8_t class; /* 2, 4 or 5; 0 means there is none */
    uint16_t subject;
    uint16_t detail;
};

/* X(NAME, subject, detail, text): the class depends on the occasion; text, the registry's words, is for who reads this.
 */
#define STATUS_CODE_TABLE(X)                                                                                           \
    X(OTHER, 0, 0, "Other undefined status")                                                                           \
    X(ADDRESS_OTHER, 1, 0, "Other address status")                                                                     \
    X(MAILBOX_UNKNOWN, 1, 1, "Bad destination mailbox address")                                                        \
    X(SYSTEM_UNKNOWN, 1, 2, "Bad destination system address")                                                          \
    X(MAILBOX_SYNTAX, 1, 3, "Bad destination mailbox address syntax")                                                  \
    X(MAILBOX_AMBIGUOUS, 1, 4, "Destination mailbox address ambiguous")                                                \
    X(ADDRESS_VALID, 1, 5, "Destination address valid")                                                                \
    X(MAILBOX_MOVED, 1, 6, "Destination mailbox has moved, no forwarding address")                                     \
    X(SENDER_SYNTAX, 1, 7, "Bad sender's mailbox address syntax")                                                      \
    X(SENDER_SYSTEM, 1, 8, "Bad sender's system address")                                                              \
    X(NULL_MX, 1, 10, "Recipient address has null MX")                                                                 \
    X(MAILBOX_OTHER, 2, 0, "Other or undefined mailbox status")                                                        \
    X(MAILBOX_DISABLED, 2, 1, "Mailbox disabled, not accepting messages")                                              \
    X(MAILBOX_FULL, 2, 2, "Mailbox full")                                                                              \
    X(MAILBOX_MESSAGE_SIZE, 2, 3, "Message length exceeds administrative limit")                                       \
    X(LIST_EXPANSION, 2, 4, "Mailing list expansion problem")                                                          \
    X(SYSTEM_OTHER, 3, 0, "Other or undefined mail system status")                                                     \
    X(SYSTEM_FULL, 3, 1, "Mail system full")                                                                           \
    X(SYSTEM_NOT_ACCEPTING, 3, 2, "System not accepting network messages")                                             \
    X(SYSTEM_FEATURE, 3, 3, "System not capable of selected features")                                                 \
    X(SYSTEM_MESSAGE_SIZE, 3, 4, "Message too big for system")                                                         \
    X(SYSTEM_CONFIGURATION, 3, 5, "System incorrectly configured")                                                     \
    X(NETWORK_OTHER, 4, 0, "Other or undefined network or routing status")                                             \
    X(NO_ANSWER, 4, 1, "No answer from host")                                                                          \
    X(BAD_CONNECTION, 4, 2, "Bad connection")                                                                          \
    X(DIRECTORY_FAILURE, 4, 3, "Directory server failure")                                                             \
    X(UNABLE_TO_ROUTE, 4, 4, "Unable to route")                                                                        \
    X(CONGESTION, 4, 5, "Mail system congestion")                                                                      \
    X(ROUTING_LOOP, 4, 6, "Routing loop detected")                                                                     \
    X(EXPIRED, 4, 7, "Delivery time expired")                                                                          \
    X(PROTOCOL_OTHER, 5, 0, "Other or undefined protocol status")                                                      \
    X(BAD_COMMAND, 5, 1, "Invalid command")                                                                            \
    X(COMMAND_SYNTAX, 5, 2, "Syntax error")                                                                            \
    X(TOO_MANY_RECIPIENTS, 5, 3, "Too many recipients")                                                                \
    X(BAD_ARGUMENTS, 5, 4, "Invalid command arguments")                                                                \
    X(BAD_PROTOCOL_VERSION, 5, 5, "Wrong protocol version")                                                            \
    X(LINE_TOO_LONG, 5, 6, "Authentication exchange line is too long")                                                 \
    X(CONTENT_OTHER, 6, 0, "Other or undefined media error")                                                           \
    X(CONTENT_NOT_SUPPORTED, 6, 1, "Media not supported")                                                              \
    X(CONVERSION_REQUIRED, 6, 3, "Conversion required but not supported")                                              \
    X(CONVERSION_FAILED, 6, 5, "Conversion failed")                                                                    \
    X(UTF8_ADDRESS, 6, 7, "Non-ASCII addresses not permitted for that sender or recipient")                            \
    X(UTF8_REPLY, 6, 8, "UTF-8 string reply is required, but not permitted")                                           \
    X(UTF8_HEADER, 6, 9, "UTF-8 header message cannot be transferred")                                                 \
    X(POLICY_OTHER, 7, 0, "Other or undefined security status")                                                        \
    X(POLICY_REFUSED, 7, 1, "Delivery not authorized, message refused")                                                \
    X(LIST_REFUSED, 7, 2, "Mailing list expansion prohibited")                                                         \
    X(SECURITY_FEATURE, 7, 4, "Security features not supported")                                                       \
    X(CRYPTO_FAILURE, 7, 5, "Cryptographic failure")                                                                   \
    X(CREDENTIALS_INVALID, 7, 8, "Authentication credentials invalid")                                                 \
    X(MECHANISM_TOO_WEAK, 7, 9, "Authentication mechanism is too weak")                                                \
    X(ENCRYPTION_NEEDED, 7, 10, "Encryption needed")                                                                   \
    X(ENCRYPTION_FOR_MECHANISM, 7, 11, "Encryption required for requested authentication mechanism")                   \
    X(PASSWORD_TRANSITION, 7, 12, "A password transition is needed")                                                   \
    X(ACCOUNT_DISABLED, 7, 13, "User account disabled")                                                                \
    X(TRUST_REQUIRED, 7, 14, "Trust relationship required")                                                            \
    X(DKIM_NONE_PASSED, 7, 20, "No passing DKIM signature found")                                                      \
    X(SPF_FAILED, 7, 23, "SPF validation failed")                                                                      \
    X(REVERSE_DNS, 7, 25, "Reverse DNS validation failed")                                                             \
    X(MULTIPLE_AUTHENTICATION, 7, 26, "Multiple authentication checks failed")                                         \
    X(SENDER_NULL_MX, 7, 27, "Sender address has null MX")                                                             \
    X(MAIL_FLOOD, 7, 28, "Mail flood detected")                                                                        \
    X(REQUIRETLS_NEEDED, 7, 30, "REQUIRETLS support required")

enum status_code_name {
#define STATUS_CODE_ENUM(name, subject, detail, text) STATUS_##name,
    STATUS_CODE_TABLE(STATUS_CODE_ENUM)
#undef STATUS_CODE_ENUM
        STATUS_CODE_COUNT
};

/* A code of the table with a class (2, 4, 5). */
struct status_code status_code_make(unsigned class, enum status_code_name name);
/* "5.1.1" */
bool status_code_append(struct buf *out, struct status_code code);
/* Reads the whole text; class 2, 4 or 5, the rest up to three digits each. */
MUST_USE bool status_code_parse(struct str text, struct status_code *code);
/* Takes a code and the blanks after it from the start of *text; false, and
 * *text untouched, if none is there. */
bool status_code_take(struct str *text, struct status_code *code);
static inline bool status_code_is_set(struct status_code code) {
    return code.class != 0;
}

#endif
