// Who may call: loopback without a key (Host and Origin are checked), elsewhere with one.
#ifndef AK_SERVER_KEYS_H
#define AK_SERVER_KEYS_H

#include "core/base/hash.h"
#include "server/request.h"

typedef struct ak_keys ak_keys;

// Reads the admin key, or makes it in the data folder, when options->listen is not loopback.
ak_status ak_keys_open(ak_keys **out, const ak_server_options *options, ak_error *err);
void ak_keys_close(ak_keys *keys);

// AK_UNAUTHORIZED, AK_MISDIRECTED, AK_FOREIGN_ORIGIN, or AK_OK. `free`: the route needs no key.
// Touches memory alone; any thread.
ak_status ak_keys_check(const ak_keys *keys, const ak_request *r, bool free, ak_error *err);

// `n` random bytes kept in a file of the data folder, made at first use with mode 0600.
ak_status ak_secret_file(uint8_t *out, size_t n, const char *folder, const char *name,
                         ak_error *err);

#endif
