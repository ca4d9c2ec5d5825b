/* Next hops and lists of them. */
#include "next_hop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str list = str_make((const char *)data, size), text;
    while (next_hop_list_next(&list, &text)) {
        for (int lmtp = 0; lmtp < 2; lmtp++) {
            struct next_hop next_hop;
            struct failure failure;
            if (!next_hop_parse(text, lmtp, 25, &next_hop, &failure)) continue;
            if (next_hop.host.length == 0 || next_hop.host.data < text.data ||
                next_hop.host.data + next_hop.host.length > text.data + text.length ||
                (next_hop.port == 0) != (next_hop.kind == NEXT_HOP_PATH))
                abort();
        }
    }
    return 0;
}
