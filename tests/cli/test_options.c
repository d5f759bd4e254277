// Arguments of a subcommand: what is taken, what is refused, and with which status.
#include "cli/cli.h"
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct {
    bool json, flag;
    const char *text;
    long number;
    ak_option_list list;
    char **operands;
} parsed;

#define PARSE(p, count, ...)                                                                       \
    parse(p, count, sizeof((char *[]){"cmd", __VA_ARGS__}) / sizeof(char *),                       \
          (char *[]){"cmd", __VA_ARGS__, NULL})

static int parse(parsed *p, size_t operand_count, size_t argc, char **argv)
{
    *p = (parsed){.text = "standard", .number = 8};
    const ak_option table[] = {{AK_OPTION_FLAG, "flag", NULL, "a flag", &p->flag, 0, 0},
                               {AK_OPTION_TEXT, "text", "T", "a text", &p->text, 0, 0},
                               {AK_OPTION_NUMBER, "number", "N", "a number", &p->number, 1, 64},
                               {AK_OPTION_LIST, "set", "A=B", "a list", &p->list, 0, 0},
                               {0}};
    const ak_usage usage = {.command = "cmd",
                            .operands = "FILE",
                            .about = "A test.",
                            .options = table,
                            .operand_count = operand_count,
                            .json = &p->json};
    return ak_options_parse(&p->operands, &usage, (int)argc, argv);
}

static void options_may_stand_before_and_behind_operands(void **state)
{
    (void)state;
    parsed p;
    assert_int_equal(PARSE(&p, 1, "--text", "a", "file", "--number=3", "--flag", "--json"),
                     AK_OPTIONS_GO);
    assert_string_equal(p.text, "a");
    assert_string_equal(p.operands[0], "file");
    assert_int_equal(p.number, 3);
    assert_true(p.flag);
    assert_true(p.json);
}

static void what_is_not_given_keeps_its_default(void **state)
{
    (void)state;
    parsed p;
    assert_int_equal(PARSE(&p, 1, "file"), AK_OPTIONS_GO);
    assert_string_equal(p.text, "standard");
    assert_int_equal(p.number, 8);
    assert_false(p.flag || p.json);
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    parsed p;
    assert_int_equal(PARSE(&p, 1, "--", "--flag"), AK_OPTIONS_GO);
    assert_string_equal(p.operands[0], "--flag");
    assert_false(p.flag);
}

static void a_list_keeps_its_order(void **state)
{
    (void)state;
    parsed p;
    assert_int_equal(PARSE(&p, 0, "--set", "a=1", "--set", "b=2"), AK_OPTIONS_GO);
    assert_int_equal(p.list.n, 2);
    assert_string_equal(p.list.at[0], "a=1");
    assert_string_equal(p.list.at[1], "b=2");
    free(p.list.at);
}

static void mistakes_are_usage(void **state)
{
    (void)state;
    parsed p;
    assert_int_equal(PARSE(&p, 1, "--unknown", "file"), AK_EXIT_USAGE);
    assert_int_equal(PARSE(&p, 1, "-x", "file"), AK_EXIT_USAGE);
    assert_int_equal(PARSE(&p, 1, "file", "--text"), AK_EXIT_USAGE);
    assert_int_equal(PARSE(&p, 1, "file", "--flag=1"), AK_EXIT_USAGE);
    assert_int_equal(PARSE(&p, 1, "file", "more"), AK_EXIT_USAGE);
    assert_int_equal(PARSE(&p, 1, "--flag"), AK_EXIT_USAGE);
    assert_int_equal(PARSE(&p, 1, "file", "--number", "65"), AK_EXIT_USAGE);
    assert_int_equal(PARSE(&p, 1, "file", "--number", "0"), AK_EXIT_USAGE);
    assert_int_equal(PARSE(&p, 1, "file", "--number", "3x"), AK_EXIT_USAGE);
}

static void help_is_no_mistake(void **state)
{
    (void)state;
    parsed p;
    assert_int_equal(PARSE(&p, 1, "--help"), AK_EXIT_OK);
    assert_int_equal(PARSE(&p, 1, "-h"), AK_EXIT_OK);
}

static void numbers_are_digits_within_their_range(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    " 1", "1 ",  "0x1", "+1",
                                      "1.0", "-6", "101", "abc", "99999999999999999999"};
    long n;
    assert_true(ak_options_number(&n, "100", -5, 100));
    assert_int_equal(n, 100);
    assert_true(ak_options_number(&n, "-5", -5, 100));
    assert_int_equal(n, -5);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ak_options_number(&n, bad[i], -5, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_may_stand_before_and_behind_operands),
        cmocka_unit_test(what_is_not_given_keeps_its_default),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(a_list_keeps_its_order),
        cmocka_unit_test(mistakes_are_usage),
        cmocka_unit_test(help_is_no_mistake),
        cmocka_unit_test(numbers_are_digits_within_their_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
