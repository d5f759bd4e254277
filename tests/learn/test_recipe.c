// Recipes: what is read, written, set and refused.
#include "core/learn/recipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static ak_status read(ak_recipe *r, const char *text, ak_error *err)
{
    return ak_recipe_read(r, (ak_bytes){(const uint8_t *)text, strlen(text)}, "my.json", err);
}

static void refused(const char *text, const char *says)
{
    ak_recipe r, before;
    ak_error err = {0};
    memset(&before, 0, sizeof before); // padding must not count
    before = ak_recipe_default();
    memcpy(&r, &before, sizeof r);
    assert_int_equal(read(&r, text, &err), AK_BAD_VALUE);
    if (!strstr(err.text, says))
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    assert_memory_equal(&r, &before, sizeof r);
}

static void what_is_left_out_stays_as_it_was(void **state)
{
    (void)state;
    ak_recipe r = ak_recipe_default();
    ak_error err = {0};
    assert_int_equal(read(&r, "{\"batch\": 64, \"views\": {\"hue\": 0.1}}", &err), AK_OK);
    assert_int_equal(r.batch, 64);
    assert_true(r.views.first.hue == 0.1f && r.views.second.hue == 0.1f);
    assert_int_equal(r.side, 64);
    assert_int_equal(read(&r, "{\"second_view\": {\"hue\": 0.2}}", &err), AK_OK);
    assert_true(r.views.first.hue == 0.1f && r.views.second.hue == 0.2f);
}

static void every_built_in_recipe_reads_back_as_it_is_written(void **state)
{
    (void)state;
    for (const ak_named_recipe *named = ak_named_recipes; named->name; named++) {
        ak_recipe r, back = ak_recipe_default();
        ak_error err = {0};
        if (ak_recipe_load(&r, named->name, &err) != AK_OK || ak_recipe_check(&r, &err) != AK_OK)
            fail_msg("%s: %s", named->name, err.text);
        json_t *written = ak_recipe_write(&r);
        char *text = json_dumps(written, 0);
        if (read(&back, text, &err) != AK_OK)
            fail_msg("%s: %s", named->name, err.text);
        json_t *again = ak_recipe_write(&back);
        assert_true(json_equal(written, again));
        json_decref(written);
        json_decref(again);
        free(text);
    }
}

static void every_objective_has_a_built_in_recipe(void **state)
{
    (void)state;
    for (const ak_objective *o = ak_objectives; o->name; o++) {
        ak_recipe r;
        ak_error err = {0};
        if (ak_recipe_load(&r, o->name, &err) != AK_OK)
            fail_msg("%s", err.text);
        assert_int_equal(r.terms_n, 1);
        assert_ptr_equal(r.terms[0].objective, o);
    }
}

static void mistakes_are_named_with_what_is_possible(void **state)
{
    (void)state;
    refused("{", "my.json:1");
    refused("[]", "must be a JSON object");
    refused("{\"batch\": 64, \"batch\": 32}", "duplicate");
    refused("{\"batsch\": 64}", "there is no \"batsch\"; possible are batch");
    refused("{\"batch\": 1}", "batch is 1; 2 to 4096");
    refused("{\"batch\": 2.5}", "whole number");
    refused("{\"batch\": \"64\"}", "must be a number");
    refused("{\"views\": {\"huge\": 1}}", "\"views.huge\"");
    refused("{\"views\": {\"hue\": 7}}", "views.hue is 7");
    refused("{\"views\": 3}", "views must be an object");
    refused("{\"net\": {\"blocks\": [1, 1]}}", "net.blocks");
    refused("{\"objectives\": []}", "1 to 4");
    refused("{\"objectives\": [{\"tau\": 1}]}", "objectives.0 has no \"name\"");
    refused("{\"objectives\": [{\"name\": \"simclr\"}]}", "there is no objective \"simclr\"");
    refused("{\"objectives\": [{\"name\": \"nt_xent\", \"tau\": 0}]}", "tau is 0");
    refused("{\"objectives\": [{\"name\": \"nt_xent\", \"margin\": 1}]}", "margin");
    refused("{\"objectives\": [{\"name\": \"nt_xent\", \"on\": \"head\"}]}",
            "features, projection");
}

static void values_that_do_not_go_together_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"objectives\": [{\"name\": \"info_nce\"}], \"momentum\": {\"queue\": 1000}}",
        "{\"pictures_per_class\": 3}",
        "{\"objectives\": [{\"name\": \"proxy_softmax\"}, {\"name\": \"proxy_softmax\"}]}",
        "{\"objectives\": [{\"name\": \"nt_xent\", \"weight\": 0}]}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ak_recipe r = ak_recipe_default();
        ak_error err = {0};
        assert_int_equal(read(&r, texts[i], &err), AK_OK);
        assert_int_equal(ak_recipe_check(&r, &err), AK_BAD_VALUE);
    }
}

static void one_value_is_set_by_its_path(void **state)
{
    (void)state;
    ak_recipe r = ak_recipe_default();
    ak_error err = {0};
    assert_int_equal(ak_recipe_set(&r, "objectives.1.weight=0.75", &err), AK_OK);
    assert_true(r.terms[1].weight == 0.75f && r.terms[0].weight == 1);
    assert_int_equal(ak_recipe_set(&r, "views.grey=0.5", &err), AK_OK);
    assert_true(r.views.first.grey == 0.5f && r.views.second.grey == 0.5f);
    assert_int_equal(ak_recipe_set(&r, "optimiser.kind=lars", &err), AK_OK);
    assert_int_equal(ak_recipe_set(&r, "net.blocks=[2,2,2,2]", &err), AK_OK);
    assert_int_equal(r.net.blocks[3], 2);
    assert_int_equal(ak_recipe_set(&r, "nothing", &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "KEY=VALUE"));
    assert_int_equal(ak_recipe_set(&r, "views.huge=1", &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "views.huge"));
    assert_int_equal(ak_recipe_set(&r, "a.b.c=1", &err), AK_BAD_VALUE);
    assert_int_equal(ak_recipe_set(&r, "objectives.7.tau=1", &err), AK_BAD_VALUE);
}

static void a_recipe_that_is_not_there_says_how_to_list_them(void **state)
{
    (void)state;
    ak_recipe r;
    ak_error err = {0};
    assert_int_equal(ak_recipe_load(&r, "simclrr", &err), AK_NOT_FOUND);
    assert_non_null(strstr(err.text, "--recipes"));
    assert_int_not_equal(ak_recipe_load(&r, "/no/such.json", &err), AK_OK);
    assert_non_null(strstr(err.text, "/no/such.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_stays_as_it_was),
        cmocka_unit_test(every_built_in_recipe_reads_back_as_it_is_written),
        cmocka_unit_test(every_objective_has_a_built_in_recipe),
        cmocka_unit_test(mistakes_are_named_with_what_is_possible),
        cmocka_unit_test(values_that_do_not_go_together_are_refused),
        cmocka_unit_test(one_value_is_set_by_its_path),
        cmocka_unit_test(a_recipe_that_is_not_there_says_how_to_list_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
