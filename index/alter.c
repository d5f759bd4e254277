#include "index/alter.h"

ak_status ak_store_alter(ak_store *store, ak_status (*apply)(ak_sql *db, void *arg, ak_error *err),
                         void *arg, bool small, ak_error *err)
{
    ak_alteration alteration = {.write = {.kind = (ak_write_kind)AK_WRITE_ALTER},
                                .apply = apply,
                                .arg = arg,
                                .small = small};
    return ak_queue_write(&store->queue, &alteration.write, err);
}
