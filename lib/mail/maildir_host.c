/* See maildir_host.h. */
#include "maildir_host.h"

#define HOST_MAX 100

void maildir_append_host(struct buf *name, struct str host) {
    for (size_t i = 0; i < host.length && i < HOST_MAX; i++) {
        char c = host.data[i];
        if (c == '/')
            buf_append(name, STR("\\057"));
        else if (c == ':')
            buf_append(name, STR("\\072"));
        else
            buf_append_char(name, (unsigned char)c <= ' ' || c == ',' ? '_' : c);
    }
    if (host.length == 0) buf_append(name, STR("localhost"));
}
