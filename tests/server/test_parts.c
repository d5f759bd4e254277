// The server's small parts: cursors, times, settings, the work queue's bounds.
#include "server/cursor.h"
#include "server/json.h"
#include "server/server.h"
#include "server/work.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_cursor_is_read_back_only_by_its_own_list(void **state)
{
    (void)state;
    ak_cursor_key key = {{1, 2, 3}}, other_key = {{1, 2, 4}};
    ak_position at = {.created_at = -5}, got;
    char text[AK_CURSOR_MAX];
    memset(at.id, 'z', AK_ID_MAX); // the longest id
    ak_cursor_write(text, &key, "images/0/a", &at);
    assert_int_equal(ak_cursor_read(&got, &key, "images/0/a", text, NULL), AK_OK);
    assert_int_equal(got.created_at, -5);
    assert_string_equal(got.id, at.id);
    assert_int_equal(ak_cursor_read(&got, &key, "images/1/a", text, NULL), AK_BAD_CURSOR);
    assert_int_equal(ak_cursor_read(&got, &other_key, "images/0/a", text, NULL), AK_BAD_CURSOR);
    for (size_t i = 0; text[i]; i++) {
        char altered[AK_CURSOR_MAX];
        strcpy(altered, text);
        altered[i] = altered[i] == 'A' ? 'B' : 'A';
        assert_int_equal(ak_cursor_read(&got, &key, "images/0/a", altered, NULL), AK_BAD_CURSOR);
        altered[i] = 0;
        assert_int_equal(ak_cursor_read(&got, &key, "images/0/a", altered, NULL), AK_BAD_CURSOR);
    }
}

static void times_are_read_as_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"1970-01-01T00:00:00Z", 0},
                {"2024-02-29T23:59:59.123Z", 1709251199123},
                {"2024-07-01T12:00:00+02:00", 1719828000000},
                {"2024-07-01t12:00:00.1-00:30", 1719837000100},
                {"1969-12-31T23:59:59Z", -1000}};
    static const char *const bad[] = {"",
                                      "2024",
                                      "2024-07-01",
                                      "2024-07-01T12:00:00",
                                      "2023-02-29T00:00:00Z",
                                      "2024-13-01T00:00:00Z",
                                      "2024-07-01T24:00:00Z",
                                      "2024-07-01T12:60:00Z",
                                      "2024-07-01T12:00:00.Z",
                                      "2024-07-01T12:00:00Zx",
                                      "2024-07-01T12:00:00+25:00",
                                      "2024-7-1T12:00:00Z"};
    int64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(ak_time_read(&ms, good[i].text));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ak_time_read(&ms, bad[i]));
}

static void settings_take_what_their_table_says(void **state)
{
    (void)state;
    ak_server_options o = ak_server_defaults();
    ak_error err = {0};
    assert_int_equal(o.upload_bytes, (uint64_t)256 << 20);
    assert_string_equal(o.precision, "auto");
    assert_int_equal(ak_server_set(&o, "work_queue", "17", &err), AK_OK);
    assert_int_equal(o.work_queue, 17);
    assert_int_equal(ak_server_set(&o, "allowed_hosts", "a.example", &err), AK_OK);
    assert_string_equal(o.allowed_hosts, "a.example");
    static const char *const bad[][2] = {
        {"work_queue", "0"},  {"work_queue", "1x"}, {"work_queue", ""},
        {"work_queue", "-1"}, {"work_queue", " 5"}, {"work_queue", "99999999999999999999"},
        {"no_such", "1"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(ak_server_set(&o, bad[i][0], bad[i][1], &err), AK_BAD_VALUE);
        assert_non_null(strstr(err.text, bad[i][0]));
    }
}

// --- the work queue ----------------------------------------------------------------------------

typedef struct {
    ak_task task;
    pthread_mutex_t *gate; // waits here first
    int *ran;
} job;

static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER;

static void job_run(ak_task *task)
{
    job *j = (job *)task;
    pthread_mutex_lock(j->gate);
    pthread_mutex_unlock(j->gate);
    pthread_mutex_lock(&count_lock);
    ++*j->ran;
    pthread_mutex_unlock(&count_lock);
}

static void the_queue_takes_as_many_requests_as_it_may(void **state)
{
    (void)state;
    ak_work *work = NULL;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    int ran = 0;
    job jobs[4];
    for (int i = 0; i < 4; i++)
        jobs[i] = (job){.task.run = job_run, .gate = &gate, .ran = &ran};
    assert_int_equal(ak_work_start(&work, 2, 3, 1, NULL), AK_OK);
    pthread_mutex_lock(&gate);
    for (int i = 0; i < 3; i++)
        assert_true(ak_work_request(work, &jobs[i].task));
    assert_false(ak_work_has_room(work));
    assert_false(ak_work_request(work, &jobs[3].task)); // those being worked on count
    ak_work_request_done(work);
    assert_true(ak_work_request(work, &jobs[3].task));
    pthread_mutex_unlock(&gate);
    ak_work_stop(work);
    assert_int_equal(ran, 4);
}

static void pictures_wait_for_a_slot_and_requests_do_not(void **state)
{
    (void)state;
    ak_work *work = NULL;
    pthread_mutex_t open = PTHREAD_MUTEX_INITIALIZER;
    int pictures = 0, requests = 0, seen;
    job p[3], r = {.task.run = job_run, .gate = &open, .ran = &requests};
    assert_int_equal(ak_work_start(&work, 2, 8, 1, NULL), AK_OK);
    for (int i = 0; i < 3; i++) {
        p[i] = (job){.task.run = job_run, .gate = &open, .ran = &pictures};
        ak_work_picture(work, &p[i].task);
    }
    assert_true(ak_work_request(work, &r.task));
    for (int done = 1; done <= 3; done++) {
        do { // the slot is held by the picture that ran last
            pthread_mutex_lock(&count_lock);
            seen = pictures;
            pthread_mutex_unlock(&count_lock);
        } while (seen < done);
        assert_int_equal(seen, done);
        ak_work_picture_done(work);
    }
    ak_work_stop(work);
    assert_int_equal(requests, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_is_read_back_only_by_its_own_list),
        cmocka_unit_test(times_are_read_as_rfc_3339),
        cmocka_unit_test(settings_take_what_their_table_says),
        cmocka_unit_test(the_queue_takes_as_many_requests_as_it_may),
        cmocka_unit_test(pictures_wait_for_a_slot_and_requests_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
