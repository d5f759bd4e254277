// Fuzz target: any bytes as a multipart body; what is taken apart must lie within it.
#include "server/multipart.h"

#include <stdlib.h>

#define CONTENT_TYPE "multipart/form-data; boundary=x-y"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
    ak_error err;
    ak_parts parts = {0};
    ak_status status = ak_multipart_read(&parts, CONTENT_TYPE, (ak_bytes){at, n}, 4096, 8, &err);
    for (size_t i = 0; status == AK_OK && i < parts.n; i++)
        if (parts.items[i].bytes.at < at ||
            parts.items[i].bytes.at + parts.items[i].bytes.n > at + n)
            abort();
    ak_parts_clear(&parts);
    return status == AK_OK ? 0 : -1;
}
