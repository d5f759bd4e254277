// The progress line as text.
#include "core/base/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void line_tells_done_rate_and_time_left(void **state)
{
    (void)state;
    char line[256];
    ak_progress_line(line, sizeof line, "pictures", 250, 1000, 99.6, 125, "3 refused", 0);
    assert_string_equal(line, "250/1000 pictures (25%), 100/s, 2 min 05 s left, 3 refused");
    ak_progress_line(line, sizeof line, "views", 7, 0, 0, -1, NULL, 0);
    assert_string_equal(line, "7 views");
    ak_progress_line(line, sizeof line, "views", 1, 2, 0.25, 7260, "", 0);
    assert_string_equal(line, "1/2 views (50%), 0.2/s, 2 h 01 min left");
}

static void bar_fills_the_room_that_there_is(void **state)
{
    (void)state;
    char line[256];
    ak_progress_line(line, sizeof line, "x", 5, 10, 0, -1, NULL, 80);
    assert_string_equal(line, "[###############...............] 5/10 x (50%)");
    ak_progress_line(line, sizeof line, "x", 20, 10, 0, -1, NULL, 80); // more than was announced
    assert_non_null(strstr(line, "[##############################]"));
    ak_progress_line(line, sizeof line, "x", 5, 10, 0, -1, NULL, 20); // no room for a bar
    assert_string_equal(line, "5/10 x (50%)");
    ak_progress_line(line, sizeof line, "pictures", 5, 10, 0, -1, NULL, 8); // nor for the text
    assert_string_equal(line, "5/10 pic");
}

static void updates_never_go_back(void **state)
{
    (void)state;
    ak_progress p;
    ak_progress_init(&p, "x", 10, AK_PROGRESS_SILENT);
    ak_progress_update(&p, 5, "a");
    ak_progress_update(&p, 3, NULL);
    assert_int_equal(p.done, 5);
    assert_string_equal(p.extra, "a");
    ak_progress_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_tells_done_rate_and_time_left),
        cmocka_unit_test(bar_fills_the_room_that_there_is),
        cmocka_unit_test(updates_never_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
