#include "server/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

static void gzip_is_sent_to_those_who_take_it(void **state)
{
    (void)state;
    assert_false(ak_gzip_wanted(NULL));
    assert_false(ak_gzip_wanted(""));
    assert_false(ak_gzip_wanted("identity, br"));
    assert_false(ak_gzip_wanted("gzip;q=0"));
    assert_false(ak_gzip_wanted("gzip; q=0.000, *"));
    assert_false(ak_gzip_wanted("xgzip, gzipx"));
    assert_true(ak_gzip_wanted("gzip"));
    assert_true(ak_gzip_wanted("br, GZIP ;q=0.5"));
    assert_true(ak_gzip_wanted("deflate,*"));
}

static void packed_bytes_come_back(void **state)
{
    (void)state;
    size_t n;
    char text[5000], back[5000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i * i % 7);
    uint8_t *packed = ak_gzip(&n, (ak_bytes){(const uint8_t *)text, sizeof text});
    assert_non_null(packed);
    assert_true(n < sizeof text / 2);
    z_stream z = {.next_in = packed,
                  .avail_in = (unsigned)n,
                  .next_out = (uint8_t *)back,
                  .avail_out = sizeof back};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_memory_equal(text, back, sizeof text);
    inflateEnd(&z);
    free(packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gzip_is_sent_to_those_who_take_it),
        cmocka_unit_test(packed_bytes_come_back),
    };
    return cmocka_run_group_tests_name("gzip", tests, NULL, NULL);
}
