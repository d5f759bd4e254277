// A server's job, followed to its end: a bar on standard error, from its events.
#ifndef AK_CLI_WATCH_H
#define AK_CLI_WATCH_H

#include "cli/client.h"

#include <jansson.h>

// *job: how it ended, the caller's. A server that goes away is waited for as in
// ak_client_call_patiently. silent: no bar.
ak_status ak_watch_job(json_t **job, ak_client *client, const char *id, bool silent, ak_error *err);

#endif
