// Whole files: limits, replacing, folders.
#include "core/base/file.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/akin-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static ak_bytes bytes_of(const char *text)
{
    return (ak_bytes){(const uint8_t *)text, strlen(text)};
}

static void what_was_written_is_read_and_appended(void **state)
{
    (void)state;
    ak_error err;
    ak_buf buf = {0};
    assert_int_equal(ak_file_replace(path_of("a"), bytes_of("hello"), &err), AK_OK);
    assert_true(ak_buf_append(&buf, "+", 1));
    assert_int_equal(ak_file_read(&buf, path_of("a"), 5, &err), AK_OK);
    assert_int_equal(buf.n, 6);
    assert_memory_equal(buf.at, "+hello", 6);
    ak_buf_clear(&buf);
}

static void more_than_the_limit_is_too_large(void **state)
{
    (void)state;
    ak_error err;
    ak_buf buf = {0};
    assert_int_equal(ak_file_replace(path_of("b"), bytes_of("hello"), &err), AK_OK);
    assert_int_equal(ak_file_read(&buf, path_of("b"), 4, &err), AK_TOO_LARGE);
    assert_non_null(strstr(err.text, "4 bytes"));
    ak_buf_clear(&buf);
}

static void a_missing_file_and_a_folder_are_errors(void **state)
{
    (void)state;
    ak_error err;
    ak_buf buf = {0};
    assert_int_equal(ak_file_read(&buf, path_of("missing"), 10, &err), AK_NOT_FOUND);
    assert_non_null(strstr(err.text, "missing"));
    assert_int_equal(ak_file_read(&buf, folder, 10, &err), AK_IO);
    ak_buf_clear(&buf);
}

static void replacing_leaves_the_new_file_and_nothing_else(void **state)
{
    (void)state;
    ak_error err;
    ak_buf buf = {0};
    assert_int_equal(ak_folder_make(path_of("only"), &err), AK_OK);
    assert_int_equal(ak_file_replace(path_of("only/c"), bytes_of("old and longer"), &err), AK_OK);
    assert_int_equal(ak_file_replace(path_of("only/c"), bytes_of("new"), &err), AK_OK);
    assert_int_equal(ak_file_read(&buf, path_of("only/c"), 100, &err), AK_OK);
    assert_int_equal(buf.n, 3);
    ak_buf_clear(&buf);
    int files = 0;
    DIR *list = opendir(path_of("only"));
    for (struct dirent *e; (e = readdir(list));)
        files += e->d_name[0] != '.';
    closedir(list);
    assert_int_equal(files, 1);
}

static void a_failed_replacement_leaves_the_old_file(void **state)
{
    (void)state;
    ak_error err;
    // The rename fails: a folder with something in it has the name.
    assert_int_equal(ak_folder_make(path_of("taken/inner"), &err), AK_OK);
    assert_int_not_equal(ak_file_replace(path_of("taken"), bytes_of("x"), &err), AK_OK);
    assert_non_null(strstr(err.text, "cannot rename"));
    struct stat st;
    assert_int_equal(stat(path_of("taken/inner"), &st), 0);
    assert_int_not_equal(ak_file_replace(path_of("no/such/folder"), bytes_of("x"), &err), AK_OK);
    assert_non_null(strstr(err.text, "cannot create"));
}

static void folders_are_made_with_their_parents_and_twice(void **state)
{
    (void)state;
    ak_error err;
    struct stat st;
    assert_int_equal(ak_folder_make(path_of("p/q/r"), &err), AK_OK);
    assert_int_equal(ak_folder_make(path_of("p/q/r"), &err), AK_OK);
    assert_int_equal(ak_folder_make(path_of("p/q/s/"), &err), AK_OK);
    assert_int_equal(stat(path_of("p/q/r"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(ak_folder_sync(path_of("p"), &err), AK_OK);
    assert_int_equal(ak_file_replace(path_of("plain"), bytes_of("x"), &err), AK_OK);
    assert_int_not_equal(ak_folder_make(path_of("plain"), &err), AK_OK);
    assert_int_not_equal(ak_folder_make(path_of("plain/under"), &err), AK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_and_appended),
        cmocka_unit_test(more_than_the_limit_is_too_large),
        cmocka_unit_test(a_missing_file_and_a_folder_are_errors),
        cmocka_unit_test(replacing_leaves_the_new_file_and_nothing_else),
        cmocka_unit_test(a_failed_replacement_leaves_the_old_file),
        cmocka_unit_test(folders_are_made_with_their_parents_and_twice),
    };
    return cmocka_run_group_tests_name("file", tests, make_folder, remove_folder);
}
