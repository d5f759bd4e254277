// Proxies: the JPEG that stands for a picture, by SHA-256, in a database of their own.
//
// They are committed before the catalog names them. `arriving` holds what the last commit brought:
// whatever of it the catalog does not know afterwards is removed again (clean.c).
#ifndef AK_INDEX_PROXIES_H
#define AK_INDEX_PROXIES_H

#include "core/base/hash.h"
#include "index/sql.h"

ak_status ak_proxies_put(ak_sql *db, const ak_sha256 *sum, ak_bytes jpeg, ak_error *err);
ak_status ak_proxies_remove(ak_sql *db, const ak_sha256 *sum, ak_error *err);
ak_status ak_proxies_read(ak_buf *out, bool *found, ak_sql *db, const ak_sha256 *sum,
                          ak_error *err);

ak_status ak_proxies_arrive(ak_sql *db, const ak_sha256 *sum, ak_error *err);
ak_status ak_proxies_arriving(ak_sha256 **sums, size_t *n, ak_sql *db,
                              ak_error *err);            // free(*sums)
ak_status ak_proxies_arrived(ak_sql *db, ak_error *err); // forgets all that were arriving

#endif
