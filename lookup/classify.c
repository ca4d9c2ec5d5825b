/* The class of a domain. Postfix's address classes, in this order:
 *
 *   local            mydestination, or an address of this machine in brackets
 *   virtual alias    virtual_alias_domains
 *   virtual mailbox  virtual_mailbox_domains
 *   relay            relay_domains
 *   default          everything else */
#include "address.h"
#include "lookup.h"

struct class_list {
    struct domain_list *list;
    enum address_class class;
};

bool lookup_classify(struct lookup *lookup, struct str domain, enum address_class *class, struct failure *failure) {
    const struct class_list lists[] = {{lookup->mydestination, CLASS_LOCAL},
                                       {lookup->virtual_alias_domains, CLASS_VIRTUAL_ALIAS},
                                       {lookup->virtual_mailbox_domains, CLASS_VIRTUAL_MAILBOX},
                                       {lookup->mail_account_domains, CLASS_VIRTUAL_MAILBOX},
                                       {lookup->relay_domains, CLASS_RELAY}};
    if (domain.length > 0 && domain.data[0] == '[') {
        *class = lookup_is_own_address(lookup, domain_literal_address(domain)) ? CLASS_LOCAL : CLASS_DEFAULT;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        switch (list_match(lists[i].list, domain, STR_EMPTY, failure)) {
        case MATCH_YES:
            *class = lists[i].class;
            return true;
        case MATCH_NO:
            break;
        case MATCH_RETRY:
            return false;
        }
    }
    *class = CLASS_DEFAULT;
    return true;
}
