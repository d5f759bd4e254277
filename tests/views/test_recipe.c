#include "core/views/recipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static ak_status read_text(ak_view_plan *plan, const char *text, ak_error *err)
{
    json_t *file = json_loads(text, 0, NULL);
    assert_non_null(file);
    ak_status status = ak_view_plan_read(plan, file, err);
    json_decref(file);
    return status;
}

static void a_plan_reads_back_as_it_was_written(void **state)
{
    (void)state;
    ak_view_plan plan = AK_VIEW_PLAN_DEFAULT, back = AK_VIEW_PLAN_DEFAULT;
    plan.first.blur = 1;
    plan.first.area_least = 0.14f;
    plan.second.blur = 0.1f;
    plan.second.jpeg_least = 33;
    plan.small = (ak_small_views){6, 48, 0.07f, 0.3f};
    for (int i = 0; i < 2; i++) {
        ak_error err;
        json_t *file = json_object();
        assert_int_equal(ak_view_plan_write(file, &plan, &err), AK_OK);
        assert_true((json_object_get(file, "second_view") != NULL) == (i == 0));
        assert_int_equal(ak_view_plan_read(&back, file, &err), AK_OK);
        assert_memory_equal(&back, &plan, sizeof plan);
        json_decref(file);
        plan.second = plan.first;
    }
}

static void the_second_view_is_the_first_but_for_what_it_names(void **state)
{
    (void)state;
    ak_view_plan plan = AK_VIEW_PLAN_DEFAULT;
    ak_error err;
    assert_int_equal(
        read_text(&plan, "{\"views\": {\"blur\": 1, \"grey\": 0.2}, \"loss\": {\"tau\": 1}}", &err),
        AK_OK);
    assert_memory_equal(&plan.first, &plan.second, sizeof plan.first);
    assert_true(plan.second.blur == 1);
    assert_int_equal(read_text(&plan, "{\"second_view\": {\"blur\": 0.1}}", &err), AK_OK);
    assert_true(plan.first.blur == 1 && plan.second.blur == 0.1f && plan.second.grey == 0.2f);
}

static void defaults_are_within_the_tables(void **state)
{
    (void)state;
    ak_view_plan plan = AK_VIEW_PLAN_DEFAULT, back = {0};
    ak_error err = {0};
    json_t *file = json_object();
    plan.second.grey = 0; // so that the section is written
    assert_int_equal(ak_view_plan_write(file, &plan, &err), AK_OK);
    assert_int_equal(ak_view_plan_read(&back, file, &err), AK_OK); // ranges are checked
    assert_memory_equal(&back, &plan, sizeof plan);                // no member is in no table
    json_decref(file);
}

static void bad_values_are_named_and_change_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"{\"views\": {\"blurr\": 1}}", "views.blurr"},
        {"{\"views\": {\"blur\": 1.5}}", "views.blur is 1.5; 0 to 1"},
        {"{\"views\": {\"blur\": \"much\"}}", "views.blur must be a number"},
        {"{\"views\": 3}", "views must be an object"},
        {"{\"views\": {\"jpeg_least\": 20.5}}", "whole number"},
        {"{\"views\": {\"grey\": 1}, \"second_view\": {\"hue\": -1}}", "second_view.hue"},
        {"{\"views\": {\"area_least\": 0.9, \"area_most\": 0.5}}",
         "views.area_least is 0.9, above views.area_most, which is 0.5"},
        {"{\"views\": {\"jpeg_most\": 5}}", "views.jpeg_least is 10, above"},
        {"{\"second_view\": {\"erase_least\": 0.5}}", "second_view.erase_least"},
        {"{\"small_views\": {\"count\": 9}}", "small_views.count is 9; 0 to 8"},
        {"{\"small_views\": {\"area_least\": 0.5}}", "small_views.area_least"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ak_view_plan plan = AK_VIEW_PLAN_DEFAULT, before = plan;
        ak_error err = {0};
        assert_int_equal(read_text(&plan, bad[i].text, &err), AK_BAD_VALUE);
        if (!strstr(err.text, bad[i].says))
            fail_msg("%s: %s", bad[i].text, err.text);
        assert_memory_equal(&plan, &before, sizeof plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_reads_back_as_it_was_written),
        cmocka_unit_test(the_second_view_is_the_first_but_for_what_it_names),
        cmocka_unit_test(defaults_are_within_the_tables),
        cmocka_unit_test(bad_values_are_named_and_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
