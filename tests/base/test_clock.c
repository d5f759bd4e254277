// Time as text, and ids that sort by time.
#include "core/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void times_are_written_as_rfc_3339(void **state)
{
    (void)state;
    char text[AK_TIME_TEXT];
    ak_time_text(text, 0);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    ak_time_text(text, 951827696789); // a leap day
    assert_string_equal(text, "2000-02-29T12:34:56.789Z");
    ak_time_text(text, 4102444799999);
    assert_string_equal(text, "2099-12-31T23:59:59.999Z");
}

static void the_clocks_go_forward(void **state)
{
    (void)state;
    double before = ak_clock_s();
    int64_t ms = ak_clock_ms();
    assert_true(ms > 1500000000000);
    for (int i = 0; i < 1000; i++) {
        double now = ak_clock_s();
        assert_true(now >= before);
        before = now;
    }
}

static int value(char c)
{
    const char *digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ", *at = strchr(digits, c);
    assert_true(c && at);
    return (int)(at - digits);
}

static void a_ulid_begins_with_its_time(void **state)
{
    (void)state;
    char id[AK_ULID_TEXT];
    int64_t before = ak_clock_ms(), ms = 0;
    ak_ulid(id);
    int64_t after = ak_clock_ms();
    assert_int_equal(strlen(id), 26);
    for (int i = 0; i < 10; i++)
        ms = ms << 5 | value(id[i]);
    for (int i = 10; i < 26; i++)
        value(id[i]);
    assert_true(ms >= before && ms <= after);
}

static void ulids_of_one_millisecond_differ(void **state)
{
    (void)state;
    char ids[500][AK_ULID_TEXT];
    unsigned char seen[16][32] = {0};
    for (int i = 0; i < 500; i++) {
        ak_ulid(ids[i]);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(ids[i], ids[j]);
        for (int j = 0; j < 16; j++)
            seen[j][value(ids[i][10 + j])] = 1;
    }
    // Each of the 16 random digits takes nearly all of its 32 values: none is stuck.
    for (int j = 0; j < 16; j++) {
        int values = 0;
        for (int v = 0; v < 32; v++)
            values += seen[j][v];
        assert_true(values >= 30);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_as_rfc_3339),
        cmocka_unit_test(the_clocks_go_forward),
        cmocka_unit_test(a_ulid_begins_with_its_time),
        cmocka_unit_test(ulids_of_one_millisecond_differ),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
