// Fuzz target: any bytes as a model, with a checksum that fits, so that what is behind it is
// reached.
#include "core/describe/model.h"
#include "core/base/hash.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
    if (n < AK_SHA256_BYTES)
        return -1;
    ak_error err;
    ak_model *model = NULL;
    uint8_t *file = malloc(n);
    if (!file)
        return -1;
    memcpy(file, at, n);
    ak_sha256 sum = ak_sha256_of((ak_bytes){file, n - AK_SHA256_BYTES});
    memcpy(file + n - AK_SHA256_BYTES, sum.at, sizeof sum.at);
    ak_status status = ak_model_read(&model, (ak_bytes){file, n}, &err);
    ak_model_free(model);
    free(file);
    return status == AK_OK ? 0 : -1;
}
