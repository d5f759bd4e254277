// The multipart fuzz target without libFuzzer.
#include "tests/fuzz/multipart.c"
#include "tests/fuzz/mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MUTATIONS 20000

static const char body[] =
    "--x-y\r\n"
    "Content-Disposition: form-data; name=\"items\"\r\n"
    "Content-Type: application/json\r\n\r\n"
    "[{}, {}]\r\n"
    "--x-y\r\n"
    "Content-Disposition: form-data; name=\"f\"; filename=\"a \\\"b.jpg\"\r\n\r\n"
    "--x-\r\n-\r\n"
    "--x-y\r\n"
    "content-disposition:form-data;name=f;filename*=UTF-8''c%20d.png\r\n\r\n"
    "\r\n"
    "--x-y--\r\n";

static void mutated_bodies_are_taken_apart_or_refused(void **state)
{
    (void)state;
    int accepted = 0, refused = 0;
    for (uint32_t i = 0; i < MUTATIONS; i++) {
        ak_random r = ak_random_stream(30, i, 0, 0);
        ak_buf file = {0};
        assert_true(ak_buf_append(&file, body, sizeof body - 1));
        if (i)
            mutate(&file, &r);
        uint8_t *exact = exact_copy(&file);
        if (LLVMFuzzerTestOneInput(exact, file.n) == 0)
            accepted++;
        else
            refused++;
        free(exact);
        ak_buf_clear(&file);
    }
    print_message("%d accepted, %d refused\n", accepted, refused);
    assert_true(accepted > 100 && refused > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_bodies_are_taken_apart_or_refused),
    };
    return cmocka_run_group_tests_name("fuzz_multipart", tests, NULL, NULL);
}
