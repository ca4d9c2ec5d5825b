/* See expansion.h. */
#include "expansion.h"

enum expansion_kind expansion_kind_of(enum alias_member_kind kind) {
    switch (kind) {
    case ALIAS_ADDRESS:
        return EXPANSION_ADDRESS;
    case ALIAS_COMMAND:
        return EXPANSION_COMMAND;
    case ALIAS_FILE:
        return EXPANSION_FILE;
    case ALIAS_INCLUDE:
        return EXPANSION_INCLUDE;
    }
    return EXPANSION_ADDRESS;
}
