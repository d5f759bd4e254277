// When a run may begin: the rules of server/refine_trigger.h.
#include "server/refine_trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void refusals_hold_the_next_run_off_for_1_4_and_24_hours(void **state)
{
    (void)state;
    static const int hours[] = {0, 1, 4, 24, 24, 24};
    for (int refusals = 0; refusals < 6; refusals++)
        assert_int_equal((int)ak_refine_back_off(refusals, 3600), 3600 * hours[refusals]);
}

static void windows_are_read_or_refused(void **state)
{
    (void)state;
    int from, to;
    assert_true(ak_refine_window_read(&from, &to, "22:00-06:30"));
    assert_int_equal(from, 22 * 60);
    assert_int_equal(to, 6 * 60 + 30);
    assert_true(ak_refine_window_read(&from, &to, ""));
    assert_true(ak_refine_window_read(&from, &to, "0:00-24:00"));
    static const char *const wrong[] = {"22-06",        "25:00-01:00", "01:60-02:00", "01:00-24:30",
                                        "01:00-02:00x", "at night",    "-1:00-02:00", "01:00"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(ak_refine_window_read(&from, &to, wrong[i]));
}

static void a_window_may_go_over_midnight(void **state)
{
    (void)state;
    // Compared with the slow definition: walk from the start, minute by minute, to the end.
    for (int from = 0; from < 1440; from += 97) {
        for (int to = 0; to < 1440; to += 89) {
            char inside[1440] = {0};
            for (int m = from; m != to; m = (m + 1) % 1440)
                inside[m] = 1;
            for (int m = 0; m < 1440; m += 7) {
                int64_t ms = INT64_C(20000) * 86400000 + (int64_t)m * 60000 + 59999;
                assert_int_equal(ak_refine_window_holds(from, to, ms), from == to || inside[m]);
            }
        }
    }
    assert_true(ak_refine_window_holds(60, 120, -INT64_C(86400000) + 61 * 60000)); // before 1970
}

static void an_end_that_lies_ahead_counts_from_the_start(void **state)
{
    (void)state;
    const int64_t hour = 3600000, now = INT64_C(1800000000000);
    // Before the process began, or since.
    assert_float_equal(ak_refine_elapsed(now - hour, now, 600), 3600, 1e-6);
    assert_float_equal(ak_refine_elapsed(now - 5000, now, 600), 5, 1e-6);
    // Set back a year since: the end lies ahead, and counts from the start.
    assert_float_equal(ak_refine_elapsed(now + 8760 * hour, now, 600), 600, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_hold_the_next_run_off_for_1_4_and_24_hours),
        cmocka_unit_test(windows_are_read_or_refused),
        cmocka_unit_test(a_window_may_go_over_midnight),
        cmocka_unit_test(an_end_that_lies_ahead_counts_from_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
