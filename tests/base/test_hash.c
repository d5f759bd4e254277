// SHA-256 against published answers, and hexadecimal both ways.
#include "core/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void check(const char *text, const char *hex)
{
    char out[AK_SHA256_HEX + 1];
    ak_sha256 sum = ak_sha256_of((ak_bytes){(const uint8_t *)text, strlen(text)}), parsed;
    ak_sha256_hex(out, &sum);
    assert_string_equal(out, hex);
    assert_true(ak_sha256_parse(&parsed, out, AK_SHA256_HEX));
    assert_memory_equal(&parsed, &sum, sizeof sum);
}

static void sha256_gives_the_known_answers(void **state)
{
    (void)state;
    check("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void only_64_hexadecimal_digits_are_parsed(void **state)
{
    (void)state;
    char text[AK_SHA256_HEX + 1];
    ak_sha256 sum;
    memset(text, 'a', AK_SHA256_HEX);
    text[AK_SHA256_HEX] = 0;
    assert_true(ak_sha256_parse(&sum, text, AK_SHA256_HEX));
    text[10] = 'F';
    assert_true(ak_sha256_parse(&sum, text, AK_SHA256_HEX));
    assert_int_equal(sum.at[5], 0xfa);
    assert_false(ak_sha256_parse(&sum, text, AK_SHA256_HEX - 1));
    assert_false(ak_sha256_parse(&sum, text, 0));
    for (const char *c = "gG/:@`xX -+"; *c; c++) {
        text[63] = *c;
        assert_false(ak_sha256_parse(&sum, text, AK_SHA256_HEX));
    }
}

static void secrets_are_equal_only_in_every_byte(void **state)
{
    (void)state;
    char a[32] = "0123456789abcdef0123456789abcde", b[32];
    memcpy(b, a, sizeof a);
    assert_true(ak_equal_secret(a, b, sizeof a));
    for (size_t i = 0; i < sizeof a; i++) {
        b[i] ^= 1;
        assert_false(ak_equal_secret(a, b, sizeof a));
        b[i] ^= 1;
    }
    assert_true(ak_equal_secret(a, "x", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_known_answers),
        cmocka_unit_test(only_64_hexadecimal_digits_are_parsed),
        cmocka_unit_test(secrets_are_equal_only_in_every_byte),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
