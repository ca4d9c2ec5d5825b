/* See tls_question.h. */
#include "tls_question.h"
#include "domain.h"
#include "trouble.h"

struct str tls_question_domain(const struct tls_question *question, struct arena *arena) {
    struct buf ascii = buf_make(0);
    struct str domain = STR_EMPTY;
    if (question->next_hop->kind == NEXT_HOP_DOMAIN && domain_append_ascii(&ascii, question->next_hop->host))
        domain = trouble_keep(arena, buf_str(&ascii));
    buf_free(&ascii);
    return domain;
}
