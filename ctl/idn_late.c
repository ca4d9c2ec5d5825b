/* idn for a command that scripts start by the thousand: libidn2, and libunistring beneath it, are loaded
 * when a name outside ASCII asks for them, and not at each start (half of the time that starting takes).
 *
 * Their types and constants are libidn2's; where the library is missing, such names are no domains. */
#include <dlfcn.h>
#include <idn2.h>
#include "idn.h"
#include "memory.h"

#define LIBRARY "libidn2.so.0"

typedef int converter(const char *input, char **output, int flags);

/* By the address of a function pointer, as POSIX says of dlsym. */
static bool find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    if (symbol) memcpy(function, &symbol, sizeof symbol);
    return symbol;
}

static bool convert(struct buf *out, struct str name, const char *function, int flags) {
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) return false;
    converter *run;
    void (*release)(void *);
    bool done = false;
    if (find(library, function, &run) && find(library, "idn2_free", &release)) {
        char *text = memory_copy_string(name), *converted = NULL;
        done = run(text, &converted, flags) == IDN2_OK && converted != NULL && buf_append(out, str_from(converted));
        release(converted);
        MEMORY_FREE(text);
    }
    dlclose(library);
    return done;
}

bool idn_append_ascii(struct buf *out, struct str name) {
    return convert(out, name, "idn2_to_ascii_8z", IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
}

bool idn_append_unicode(struct buf *out, struct str name) {
    return convert(out, name, "idn2_to_unicode_8z8z", 0);
}
