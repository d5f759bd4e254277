// Fuzz target: any bytes as a .npy file.
#include "cli/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
    ak_error err;
    ak_npy npy;
    ak_status status = ak_npy_parse(&npy, (ak_bytes){at, n}, "fuzz.npy", &err);
    ak_npy_clear(&npy);
    return status == AK_OK ? 0 : -1;
}
