// trained.json: {"sha256": ["<hex>", ...]}, written by the worker and read by the daemon.
#include "core/refine/rundir.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

ak_status ak_rundir_trained_write(const char *folder, const ak_sha256 *sums, size_t n,
                                  ak_error *err)
{
    char hex[AK_SHA256_HEX + 1];
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        ak_sha256_hex(hex, &sums[i]);
        json_array_append_new(list, json_string(hex));
    }
    json_t *object = json_pack("{s:o}", "sha256", list);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    ak_status status = text ? ak_rundir_write(folder, AK_RUN_TRAINED,
                                              (ak_bytes){(const uint8_t *)text, strlen(text)}, err)
                            : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu sums", n);
    free(text);
    json_decref(object);
    return status;
}

ak_status ak_rundir_trained_read(ak_sha256 **sums, size_t *n, const char *folder, ak_error *err)
{
    ak_buf file = {0};
    size_t i;
    json_t *object = NULL, *item;
    *sums = NULL;
    *n = 0;
    ak_status status = ak_rundir_read(&file, folder, AK_RUN_TRAINED, err);
    if (status != AK_OK)
        return status;
    object = json_loadb((const char *)file.at, file.n, 0, NULL);
    json_t *list = json_object_get(object, "sha256");
    if (!json_is_array(list))
        status = ak_fail(err, AK_CORRUPT, "%s/%s has no list \"sha256\"", folder, AK_RUN_TRAINED);
    else if (!(*sums = ak_alloc(json_array_size(list) + 1, sizeof **sums)))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu sums", json_array_size(list));
    json_array_foreach(list, i, item)
    {
        const char *hex = json_string_value(item);
        if (status == AK_OK && !(hex && ak_sha256_parse(&(*sums)[(*n)++], hex, strlen(hex))))
            status = ak_fail(err, AK_CORRUPT, "item %zu of %s/%s is no SHA-256", i, folder,
                             AK_RUN_TRAINED);
    }
    if (status != AK_OK) {
        free(*sums);
        *sums = NULL;
        *n = 0;
    }
    json_decref(object);
    ak_buf_clear(&file);
    return status;
}
