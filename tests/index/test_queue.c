// The queue of writes by itself: no store, no disk.
#include "index/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool is_delete(const ak_write *write)
{
    return write->kind == AK_WRITE_IMAGE_DELETE;
}

static void submit(ak_queue *queue, ak_write *write, ak_status expected)
{
    ak_error err = {0};
    assert_int_equal(ak_queue_submit(queue, write, &err), expected);
}

// How many are taken at once, in the order in which they stand in `writes`.
static size_t take(ak_queue *queue, size_t most, ak_write *writes)
{
    ak_write *first = NULL;
    bool nudged = true; // an empty queue is not waited for
    size_t n = 0;
    assert_true(ak_queue_take(&first, queue, most, is_delete, &nudged));
    for (ak_write *write = first; write; write = write->next)
        assert_ptr_equal(write, &writes[n++]);
    return n;
}

static void writes_are_taken_in_order_and_some_alone(void **state)
{
    (void)state;
    ak_queue queue;
    ak_write writes[6] = {[3] = {.kind = AK_WRITE_IMAGE_DELETE}};
    ak_queue_init(&queue, 6);
    for (size_t i = 0; i < 6; i++)
        submit(&queue, &writes[i], AK_OK);
    submit(&queue, &(ak_write){0}, AK_OVERLOADED);
    assert_int_equal(take(&queue, 2, writes), 2);
    assert_int_equal(take(&queue, 9, writes + 2), 1);
    assert_int_equal(take(&queue, 9, writes + 3), 1);
    assert_int_equal(take(&queue, 9, writes + 4), 2);
    assert_int_equal(take(&queue, 9, NULL), 0);
    submit(&queue, &writes[0], AK_OK);
    assert_int_equal(take(&queue, 9, writes), 1);
    ak_queue_clear(&queue);
}

static void a_nudge_is_told_once_and_the_end_after_the_last_write(void **state)
{
    (void)state;
    ak_queue queue;
    ak_write write = {0}, *first = &write;
    bool nudged = false;
    ak_queue_init(&queue, 1);
    ak_queue_nudge(&queue);
    assert_true(ak_queue_take(&first, &queue, 1, is_delete, &nudged));
    assert_null(first);
    assert_true(nudged);
    submit(&queue, &write, AK_OK);
    ak_queue_close(&queue);
    submit(&queue, &(ak_write){0}, AK_SHUTTING_DOWN);
    nudged = false;
    assert_true(ak_queue_take(&first, &queue, 1, is_delete, &nudged));
    assert_ptr_equal(first, &write);
    assert_false(nudged);
    assert_false(ak_queue_take(&first, &queue, 1, is_delete, &nudged));
    ak_queue_clear(&queue);
}

static void count(ak_write *write)
{
    ++*(int *)write->arg;
}

static void a_batch_that_failed_keeps_the_failures_of_its_own(void **state)
{
    (void)state;
    int told = 0;
    ak_write own = {.status = AK_BAD_VALUE, .done = count, .arg = &told};
    ak_write other = {.created = true, .done = count, .arg = &told, .next = &own};
    ak_queue_answer(&other, AK_IO, &(ak_error){AK_IO, "no disk"});
    assert_int_equal(told, 2);
    assert_int_equal(own.status, AK_BAD_VALUE);
    assert_int_equal(other.status, AK_IO);
    assert_string_equal(other.error.text, "no disk");
    assert_false(other.created);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_are_taken_in_order_and_some_alone),
        cmocka_unit_test(a_nudge_is_told_once_and_the_end_after_the_last_write),
        cmocka_unit_test(a_batch_that_failed_keeps_the_failures_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
