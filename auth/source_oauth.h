/* source_oauth: how the source oauth reaches servers; of its own for tests. */
#ifndef TERN_SOURCE_OAUTH_H
#define TERN_SOURCE_OAUTH_H

#include "clock.h"
#include "failure.h"
#include "ipc.h"
#include "service.h"
#include "source.h"

/* One HTTPS request; the answer in the arena. False: temporary. In a task. */
typedef bool source_oauth_http(struct service *service, const struct ipc_http_exchange *request, deadline until,
                               struct arena *arena, struct ipc_http_exchanged *answer, struct failure *failure);
/* For an open source oauth: another function in the place of the one that asks the fetch daemon. */
void source_oauth_set_http(struct auth_source *source, source_oauth_http *http);

#endif
