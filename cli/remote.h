// What several commands ask of a server: its address, paths, an answer as JSON, a collection that
// is there, which sums are.
#ifndef AK_CLI_REMOTE_H
#define AK_CLI_REMOTE_H

#include "cli/client.h"
#include "core/base/hash.h"

#include <jansson.h>

// AKIN_SERVER, or http://127.0.0.1:8470.
const char *ak_remote_default(void);

#define AK_REMOTE_COLLECTIONS "/v1/collections/"

// "<before><name><after>", name escaped; the caller frees. NULL out of memory.
char *ak_remote_path(const char *before, const char *name, const char *after);

// One call that is answered with JSON: *answer is the caller's. AK_BAD_JSON when it is none.
ak_status ak_remote_answer(json_t **answer, ak_client *client, const ak_call *call, ak_error *err);

// The same with a body of JSON; NULL: none.
ak_status ak_remote_json(json_t **answer, ak_client *client, const char *method, const char *path,
                         const json_t *body, ak_error *err);

// A member of an answer, for printing: borrowed, "-" when it is no text.
const char *ak_remote_text(const json_t *object, const char *key);

// Makes the collection when it is missing. The first call of a command: a server that is away is
// an error at once.
ak_status ak_remote_collection(ak_client *client, const char *collection, ak_error *err);

// images:check of n sums (at most 10,000): calls found(arg, sum, id) for each id that has one.
ak_status ak_remote_check(ak_client *client, const char *collection, const ak_sha256 *const *sums,
                          size_t n, void (*found)(void *arg, const ak_sha256 *sum, const char *id),
                          void *arg, ak_error *err);

#endif
