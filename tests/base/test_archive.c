// Tars and folders: what is handed out, in which order, and what a damaged one says.
#include "core/base/archive.h"

#include "core/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
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
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put_file(const char *name, const void *at, size_t n)
{
    ak_error err;
    assert_int_equal(ak_file_replace(path_of(name), (ak_bytes){at, n}, &err), AK_OK);
}

static void add(struct archive *a, const char *name, int type, const char *data, size_t n)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, (unsigned)type);
    archive_entry_set_perm(e, 0644);
    if (type == AE_IFLNK)
        archive_entry_set_symlink(e, data);
    else if (type == 0) {
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_hardlink(e, data);
    } else
        archive_entry_set_size(e, (la_int64_t)n);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    if (n)
        assert_int_equal(archive_write_data(a, data, n), n);
    archive_entry_free(e);
}

// sub/, sub/z (700 bytes of 'z'), a symlink, ./a (empty), a hard link, .DS_Store (5 bytes), ._z,
// big.
static void make_tar(const char *name, const char *filter)
{
    char z[700], big[5000];
    memset(z, 'z', sizeof z);
    memset(big, 'b', sizeof big);
    struct archive *a = archive_write_new();
    assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
    if (filter)
        assert_int_equal(archive_write_add_filter_by_name(a, filter), ARCHIVE_OK);
    assert_int_equal(archive_write_set_bytes_per_block(a, 512), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(a, path_of(name)), ARCHIVE_OK);
    add(a, "sub", AE_IFDIR, "", 0);
    add(a, "sub/z", AE_IFREG, z, sizeof z);
    add(a, "sub/link", AE_IFLNK, "z", 0);
    add(a, "./a", AE_IFREG, "", 0);
    add(a, "hard", 0, "sub/z", 0);
    add(a, ".DS_Store", AE_IFREG, "store", 5);
    add(a, "._z", AE_IFREG, "fork", 4);
    add(a, "big", AE_IFREG, big, sizeof big);
    add(a, "last", AE_IFREG, "last", 4);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

typedef struct {
    const char *name;
    uint64_t size;
    ak_status status;
    char first;
} expected;

static void check(const char *name, size_t limit, const expected *want, size_t n)
{
    ak_error err = {0};
    ak_archive *a;
    ak_entry entry;
    bool more;
    assert_int_equal(ak_archive_open(&a, path_of(name), limit, &err), AK_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(ak_archive_next(a, &entry, &more, &err), AK_OK);
        assert_true(more);
        assert_string_equal(entry.name, want[i].name);
        assert_int_equal(entry.size, want[i].size);
        assert_int_equal(entry.status, want[i].status);
        assert_int_equal(entry.bytes.n, want[i].status == AK_OK ? want[i].size : 0);
        if (entry.bytes.n)
            assert_int_equal(entry.bytes.at[entry.bytes.n - 1], want[i].first);
        assert_int_equal(strlen(entry.reason) > 0, want[i].status != AK_OK);
    }
    for (int again = 0; again < 2; again++) {
        assert_int_equal(ak_archive_next(a, &entry, &more, &err), AK_OK);
        assert_false(more);
    }
    ak_archive_close(a);
}

static const expected in_tar[] = {
    {"sub/z", 700, AK_OK, 'z'},   {"a", 0, AK_OK, 0},     {"hard", 0, AK_BAD_VALUE, 0},
    {".DS_Store", 5, AK_OK, 'e'}, {"._z", 4, AK_OK, 'k'}, {"big", 5000, AK_TOO_LARGE, 0},
    {"last", 4, AK_OK, 't'},
};

static void a_tar_gives_its_regular_files_in_its_order(void **state)
{
    (void)state;
    make_tar("plain.tar", NULL);
    check("plain.tar", 4999, in_tar, sizeof in_tar / sizeof *in_tar);
}

static void compressed_tars_read_like_plain_ones(void **state)
{
    (void)state;
    static const char *const filters[] = {"gzip", "bzip2", "xz", "zstd"};
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        make_tar("packed", filters[i]);
        check("packed", 4999, in_tar, sizeof in_tar / sizeof *in_tar);
    }
}

// One ustar header and a block of data, by hand: libarchive does not write UTF-8 in every locale.
static void put_member(uint8_t at[1024], const char *name, char type, const char *data)
{
    unsigned sum = 0;
    memset(at, 0, 1024);
    strcpy((char *)at, name);
    strcpy((char *)at + 100, "0000644");
    snprintf((char *)at + 124, 12, "%011o", (unsigned)strlen(data));
    strcpy((char *)at + 136, "00000000000");
    memset(at + 148, ' ', 8);
    at[156] = (uint8_t)type;
    memcpy(at + 257, "ustar\00000", 8);
    for (int i = 0; i < 512; i++)
        sum += at[i];
    snprintf((char *)at + 148, 8, "%06o", sum);
    strcpy((char *)at + 512, data);
}

static void names_in_utf8_come_through_in_any_locale(void **state)
{
    (void)state;
    const char *name = "caf\xc3\xa9/\xe5\x9b\xbe.jpg";
    const expected want[] = {{name, 3, AK_OK, 'c'}, {name, 3, AK_OK, 'f'}};
    char record[64];
    uint8_t tar[4 * 1024] = {0};
    snprintf(record, sizeof record, "%d path=%s\n", 3 + 5 + (int)strlen(name) + 1, name);
    put_member(tar, name, '0', "abc"); // plain bytes
    put_member(tar + 1024, "pax", 'x', record);
    put_member(tar + 2048, "ascii", '0', "def"); // named by the pax record before it
    put_file("utf8.tar", tar, sizeof tar);
    check("utf8.tar", 100, want, 2);
}

// Reads to the end or an error; returns how many files were whole.
static size_t read_all(const char *name, ak_status *status, ak_error *err)
{
    ak_archive *a;
    ak_entry entry;
    bool more = true;
    size_t whole = 0;
    *status = ak_archive_open(&a, path_of(name), 100000, err);
    if (*status != AK_OK)
        return 0;
    while (*status == AK_OK && more) {
        *status = ak_archive_next(a, &entry, &more, err);
        whole += *status == AK_OK && more && entry.status == AK_OK;
    }
    ak_archive_close(a);
    return whole;
}

static void a_tar_cut_anywhere_is_corrupt_and_says_which(void **state)
{
    (void)state;
    ak_error err;
    ak_status status;
    ak_buf buf = {0};
    make_tar("whole.tar", NULL);
    assert_int_equal(ak_file_read(&buf, path_of("whole.tar"), 1 << 20, &err), AK_OK);
    assert_int_equal(read_all("whole.tar", &status, &err), 6);
    assert_int_equal(status, AK_OK);
    size_t end = buf.n - 1024; // two blocks of zeros; one of them is enough
    size_t most = 0;
    for (size_t n = 0; n <= end; n += 128) {
        put_file("cut.tar", buf.at, n);
        size_t whole = read_all("cut.tar", &status, &err);
        assert_int_equal(status, AK_CORRUPT);
        assert_non_null(strstr(err.text, "cut.tar"));
        assert_true(whole >= most); // what came before the cut was handed out
        most = whole;
    }
    assert_int_equal(most, 6);
    ak_buf_clear(&buf);
}

static void a_compressed_tar_cut_short_is_corrupt(void **state)
{
    (void)state;
    ak_error err;
    ak_status status;
    ak_buf buf = {0};
    make_tar("whole.tgz", "gzip");
    assert_int_equal(ak_file_read(&buf, path_of("whole.tgz"), 1 << 20, &err), AK_OK);
    for (size_t n = 0; n < buf.n - 20; n += buf.n / 13) {
        put_file("cut.tgz", buf.at, n);
        read_all("cut.tgz", &status, &err);
        assert_int_equal(status, AK_CORRUPT);
    }
    ak_buf_clear(&buf);
}

static void the_file_that_was_cut_is_named(void **state)
{
    (void)state;
    ak_error err;
    ak_status status;
    ak_buf buf = {0};
    make_tar("whole.tar", NULL);
    assert_int_equal(ak_file_read(&buf, path_of("whole.tar"), 1 << 20, &err), AK_OK);
    put_file("cut.tar", buf.at, 512 + 512 + 100); // sub/, the header of sub/z, some of its data
    read_all("cut.tar", &status, &err);
    assert_int_equal(status, AK_CORRUPT);
    assert_non_null(strstr(err.text, "sub/z"));
    ak_buf_clear(&buf);
}

static void other_files_are_corrupt_and_missing_ones_not_found(void **state)
{
    (void)state;
    ak_error err;
    ak_status status;
    put_file("text", "this is no tar, but a line of text\n", 35);
    read_all("text", &status, &err);
    assert_int_equal(status, AK_CORRUPT);
    put_file("empty", "", 0);
    read_all("empty", &status, &err);
    assert_int_equal(status, AK_CORRUPT);
    read_all("missing", &status, &err);
    assert_int_equal(status, AK_NOT_FOUND);
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    read_all("pipe", &status, &err);
    assert_int_equal(status, AK_BAD_VALUE);
}

static void a_folder_gives_its_files_sorted_by_path_and_follows_no_link(void **state)
{
    (void)state;
    ak_error err;
    const expected want[] = {
        {".DS_Store", 1, AK_OK, 's'}, {"a.jpg", 1, AK_OK, '1'},     {"a/b", 1, AK_OK, '2'},
        {"a/c/d", 1, AK_OK, '3'},     {"big", 20, AK_TOO_LARGE, 0}, {"e", 0, AK_OK, 0},
    };
    put_file("outside", "secret", 6);
    assert_int_equal(ak_folder_make(path_of("tree/a/c"), &err), AK_OK);
    put_file("tree/e", "", 0);
    put_file("tree/a/c/d", "3", 1);
    put_file("tree/a.jpg", "1", 1);
    put_file("tree/a/b", "2", 1);
    put_file("tree/big", "xxxxxxxxxxxxxxxxxxxx", 20);
    put_file("tree/.DS_Store", "s", 1);
    assert_int_equal(symlink("../outside", path_of("tree/link")), 0);
    assert_int_equal(symlink("a", path_of("tree/loop")), 0);
    assert_int_equal(symlink("tree", path_of("alias")), 0);
    check("tree", 19, want, sizeof want / sizeof *want);
    check("tree/", 19, want, sizeof want / sizeof *want);
    check("alias", 19, want, sizeof want / sizeof *want); // the root itself may be a link
}

static void a_file_that_vanishes_is_flagged_and_others_go_on(void **state)
{
    (void)state;
    ak_error err;
    ak_archive *a;
    ak_entry entry;
    bool more;
    assert_int_equal(ak_folder_make(path_of("moving"), &err), AK_OK);
    put_file("moving/1", "1", 1);
    put_file("moving/2", "2", 1);
    assert_int_equal(ak_archive_open(&a, path_of("moving"), 10, &err), AK_OK);
    assert_int_equal(unlink(path_of("moving/1")), 0);
    assert_int_equal(ak_archive_next(a, &entry, &more, &err), AK_OK);
    assert_true(more);
    assert_string_equal(entry.name, "1");
    assert_int_equal(entry.status, AK_NOT_FOUND);
    assert_int_equal(ak_archive_next(a, &entry, &more, &err), AK_OK);
    assert_int_equal(entry.status, AK_OK);
    assert_int_equal(entry.bytes.at[0], '2');
    ak_archive_close(a);
}

static void an_empty_folder_ends_at_once(void **state)
{
    (void)state;
    ak_error err;
    assert_int_equal(ak_folder_make(path_of("nothing"), &err), AK_OK);
    check("nothing", 10, NULL, 0);
    ak_archive_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tar_gives_its_regular_files_in_its_order),
        cmocka_unit_test(compressed_tars_read_like_plain_ones),
        cmocka_unit_test(names_in_utf8_come_through_in_any_locale),
        cmocka_unit_test(a_tar_cut_anywhere_is_corrupt_and_says_which),
        cmocka_unit_test(a_compressed_tar_cut_short_is_corrupt),
        cmocka_unit_test(the_file_that_was_cut_is_named),
        cmocka_unit_test(other_files_are_corrupt_and_missing_ones_not_found),
        cmocka_unit_test(a_folder_gives_its_files_sorted_by_path_and_follows_no_link),
        cmocka_unit_test(a_file_that_vanishes_is_flagged_and_others_go_on),
        cmocka_unit_test(an_empty_folder_ends_at_once),
    };
    return cmocka_run_group_tests_name("archive", tests, make_folder, remove_folder);
}
