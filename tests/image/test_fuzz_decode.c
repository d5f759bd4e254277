// The fuzz target without libFuzzer: small valid files, broken in ways that a seed decides.
#include "tests/fuzz/decode.c"
#include "tests/fuzz/mutate.h"
#include "tests/image/made.h"

#define MUTATIONS 400 // of each kind; under a second in all without a sanitizer

static void mutated_files_neither_crash_nor_leak(void **state)
{
    (void)state;
    ak_buf seed = {0};
    int accepted = 0, refused = 0;
    for (int kind = 0; kind < MADE_KINDS; kind++) {
        made_any(&seed, kind);
        assert_int_equal(LLVMFuzzerTestOneInput(seed.at, seed.n), 0);
        for (uint32_t i = 0; i < MUTATIONS; i++) {
            ak_random r = ak_random_stream(20, (uint32_t)kind, i, 0);
            ak_buf file = {0};
            assert_true(ak_buf_append(&file, seed.at, seed.n));
            mutate(&file, &r);
            uint8_t *exact = exact_copy(&file);
            if (LLVMFuzzerTestOneInput(exact, file.n) == 0)
                accepted++;
            else
                refused++;
            free(exact);
            ak_buf_clear(&file);
        }
    }
    print_message("%d accepted, %d refused\n", accepted, refused);
    assert_true(accepted > 100 && refused > 100); // neither path was all there was
    ak_buf_clear(&seed);
}

static void random_bytes_behind_each_signature_are_refused(void **state)
{
    (void)state;
    static const char *const signatures[] = {"\xff\xd8\xff\xe0", "\x89PNG\r\n\x1a\n",
                                             "RIFF\x30\1\1\1WEBPVP8 ", "RIFF\x30\1\1\1WEBPVP8X"};
    uint8_t bytes[300];
    for (uint32_t i = 0; i < 2000; i++) {
        ak_random r = ak_random_stream(21, i, 0, 0);
        const char *signature = signatures[i % 4];
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)ak_random_u32(&r);
        memcpy(bytes, signature, strlen(signature));
        assert_int_equal(LLVMFuzzerTestOneInput(bytes, sizeof bytes), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_files_neither_crash_nor_leak),
        cmocka_unit_test(random_bytes_behind_each_signature_are_refused),
    };
    return cmocka_run_group_tests_name("fuzz_decode", tests, NULL, NULL);
}
