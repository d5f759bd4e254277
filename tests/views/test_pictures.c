// The training set from tars and folders, with and without the cache, and damaged caches.
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/views/cache.h"
#include "core/views/pictures.h"
#include "tests/learn/made_pictures.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

enum { GOOD = 12, BROKEN = 3, KEEP = 32 };

static char folder[64], tar[96], cache[96], file[400];

static void put_entry(struct archive *a, const char *name, ak_bytes bytes)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, (la_int64_t)bytes.n);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, bytes.at, bytes.n), bytes.n);
    archive_entry_free(e);
}

// Twelve pictures of three classes, one of them with a single picture, and three broken ones.
static void make_tar(const char *path, const ak_pictures *made)
{
    struct archive *a = archive_write_new();
    archive_write_set_format_pax(a);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (size_t i = 0; i < GOOD; i++) {
        ak_buf png = {0};
        char name[64];
        assert_int_equal(ak_image_encode_png(&png, &made->items[i].image, NULL), AK_OK);
        snprintf(name, sizeof name, "%s/%zu.png", i == 5 ? "alone" : i % 2 ? "zebras" : "bees", i);
        put_entry(a, name, ak_buf_bytes(&png));
        if (i < BROKEN) {
            snprintf(name, sizeof name, "%s/broken%zu.png", i ? "bees" : "ruins", i);
            put_entry(a, name, (ak_bytes){png.at, i == 2 ? 0 : png.n / 2});
        }
        ak_buf_clear(&png);
    }
    archive_write_close(a);
    archive_write_free(a);
}

static int make(void **state)
{
    (void)state;
    ak_pictures made;
    ak_log_threshold(AK_LOG_ERROR); // skipped ones and remade caches are meant here
    strcpy(folder, "/tmp/akin-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(tar, sizeof tar, "%s/some.tar", folder);
    snprintf(cache, sizeof cache, "%s/deep/cache", folder);
    made_pictures(&made, GOOD, 3, 40);
    make_tar(tar, &made);
    ak_pictures_clear(&made);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static ak_pictures load(const char *path, int keep_side, const char *in)
{
    ak_pictures set = {0};
    ak_error err = {0};
    const ak_pictures_options o = {keep_side, in ? 0 : 1 << 20, in};
    if (ak_pictures_add(&set, path, &o, &err) != AK_OK || ak_pictures_index(&set, &err) != AK_OK)
        fail_msg("%s", err.text);
    return set;
}

static void assert_same(const ak_pictures *a, const ak_pictures *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->refused, b->refused);
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->classes_n, b->classes_n);
    for (size_t i = 0; i < a->classes_n; i++)
        assert_string_equal(a->classes[i], b->classes[i]);
    for (size_t i = 0; i < a->n; i++) {
        const ak_image *p = &a->items[i].image, *q = &b->items[i].image;
        assert_int_equal(a->items[i].label, b->items[i].label);
        assert_int_equal(p->width, q->width);
        assert_int_equal(p->height, q->height);
        assert_memory_equal(p->rgb, q->rgb, 3 * p->width * p->height);
    }
}

// The names in the cache; the last one is in `file`.
static int files_in_cache(void)
{
    int n = 0;
    DIR *d = opendir(cache);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') {
            snprintf(file, sizeof file, "%s/%s", cache, e->d_name);
            n++;
        }
    if (d)
        closedir(d);
    return n;
}

static ino_t inode(void)
{
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    return st.st_ino;
}

static void empty_cache(void)
{
    while (files_in_cache())
        unlink(file);
}

static void broken_pictures_are_skipped_and_counted(void **state)
{
    (void)state;
    ak_pictures set = load(tar, KEEP, NULL);
    assert_int_equal(set.n, GOOD);
    assert_int_equal(set.refused, BROKEN);
    assert_int_equal(set.classes_n, 3); // none for the ruins
    static const char *const names[] = {"alone", "bees", "zebras"};
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(set.classes[i], names[i]);
    for (size_t i = 0; i < set.n; i++) {
        const ak_image *p = &set.items[i].image;
        assert_int_equal(p->width < p->height ? p->width : p->height, KEEP);
        assert_int_equal(set.items[i].label, i == 5 ? 0 : i % 2 ? 2 : 1);
    }
    ak_pictures_clear(&set);
}

static void a_set_without_pictures_and_one_over_the_limit_are_errors(void **state)
{
    (void)state;
    ak_pictures set = {0};
    ak_error err;
    char empty[128];
    snprintf(empty, sizeof empty, "%s/empty", folder);
    mkdir(empty, 0755);
    ak_pictures_options o = {KEEP, 1 << 20, NULL};
    assert_int_equal(ak_pictures_add(&set, empty, &o, &err), AK_OK);
    assert_int_equal(ak_pictures_index(&set, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "no readable picture"));
    o.memory_limit = 5 * 3 * KEEP * KEEP;
    assert_int_equal(ak_pictures_add(&set, tar, &o, &err), AK_OUT_OF_MEMORY);
    assert_non_null(strstr(err.text, "--memory"));
    ak_pictures_clear(&set);
    assert_int_equal(ak_pictures_add(&set, "/nowhere.tar", &o, &err), AK_NOT_FOUND);
    o.cache = cache;
    assert_int_equal(ak_pictures_add(&set, "/nowhere.tar", &o, &err), AK_NOT_FOUND);
    ak_pictures_clear(&set);
}

static void the_cache_gives_the_same_set_and_is_made_once(void **state)
{
    (void)state;
    empty_cache();
    ak_pictures plain = load(tar, KEEP, NULL), made = load(tar, KEEP, cache);
    assert_int_equal(files_in_cache(), 1);
    ino_t first = inode();
    ak_pictures found = load(tar, KEEP, cache);
    assert_int_equal(files_in_cache(), 1);
    assert_int_equal(inode(), first);
    assert_same(&plain, &made);
    assert_same(&plain, &found);
    assert_int_equal(plain.mapped, 0);
    assert_int_equal(found.mapped, found.bytes);
    ak_pictures_clear(&plain);
    ak_pictures_clear(&made);
    ak_pictures_clear(&found);
}

static void the_cache_names_what_was_refused(void **state)
{
    (void)state;
    ak_cache *c;
    ak_error err;
    assert_int_equal(ak_cache_open(&c, cache, tar, KEEP, &err), AK_OK);
    assert_non_null(strstr(ak_cache_refused(c, 0), "ruins/broken0.png: "));
    assert_non_null(strstr(ak_cache_refused(c, 2), "bees/broken2.png: "));
    assert_null(ak_cache_refused(c, BROKEN));
    ak_cache_close(c);
}

static void another_side_is_another_file(void **state)
{
    (void)state;
    empty_cache();
    ak_pictures a = load(tar, KEEP, cache), b = load(tar, KEEP / 2, cache);
    assert_int_equal(files_in_cache(), 2);
    assert_int_equal(b.items[0].image.height < b.items[0].image.width ? b.items[0].image.height
                                                                      : b.items[0].image.width,
                     KEEP / 2);
    ak_pictures_clear(&a);
    ak_pictures_clear(&b);
}

static void folders_are_not_kept(void **state)
{
    (void)state;
    empty_cache();
    char path[160], pictures[128];
    ak_pictures made, set = {0};
    ak_buf png = {0};
    ak_error err;
    snprintf(pictures, sizeof pictures, "%s/pictures", folder);
    snprintf(path, sizeof path, "%s/ants", pictures);
    assert_int_equal(ak_folder_make(path, &err), AK_OK);
    snprintf(path, sizeof path, "%s/ants/1.png", pictures);
    made_pictures(&made, 1, 1, 40);
    assert_int_equal(ak_image_encode_png(&png, &made.items[0].image, &err), AK_OK);
    assert_int_equal(ak_file_replace(path, ak_buf_bytes(&png), &err), AK_OK);
    const ak_pictures_options o = {KEEP, 1 << 20, cache};
    assert_int_equal(ak_pictures_add(&set, pictures, &o, &err), AK_OK);
    assert_int_equal(set.n, 1);
    assert_int_equal(set.mapped, 0);
    assert_int_equal(files_in_cache(), 0);
    ak_pictures_clear(&set);
    ak_pictures_clear(&made);
    ak_buf_clear(&png);
}

// A bit is flipped in each part of the file, and it is cut at the same places. The set is right
// every time, and the file is a new one, which is as the first was.
static void a_damaged_cache_is_made_anew(void **state)
{
    (void)state;
    empty_cache();
    ak_pictures plain = load(tar, KEEP, NULL), set = load(tar, KEEP, cache);
    ak_pictures_clear(&set);
    assert_int_equal(files_in_cache(), 1);
    ak_buf good = {0};
    ak_error err;
    assert_int_equal(ak_file_read(&good, file, 1 << 20, &err), AK_OK);
    int cases = 0;
    for (size_t at = 0; at < good.n; at += at < 88 ? 8 : at + 500 > good.n ? 53 : good.n / 9)
        for (int cut = 0; cut < 2; cut++) {
            uint8_t was = good.at[at];
            good.at[at] ^= cut ? 0 : 1;
            ak_bytes bad = {good.at, cut ? at : good.n};
            assert_int_equal(ak_file_replace(file, bad, &err), AK_OK);
            good.at[at] = was;
            ino_t before = inode();
            set = load(tar, KEEP, cache);
            assert_same(&plain, &set);
            ak_pictures_clear(&set);
            assert_int_not_equal(inode(), before);
            assert_int_equal(files_in_cache(), 1);
            cases++;
        }
    ak_buf again = {0};
    assert_int_equal(ak_file_read(&again, file, 1 << 20, &err), AK_OK);
    assert_int_equal(again.n, good.n);
    assert_memory_equal(again.at, good.at, good.n);
    printf("%d damages\n", cases);
    ak_buf_clear(&good);
    ak_buf_clear(&again);
    ak_pictures_clear(&plain);
}

static void a_tar_that_changed_is_decoded_anew(void **state)
{
    (void)state;
    empty_cache();
    char other[128];
    ak_pictures made;
    snprintf(other, sizeof other, "%s/other.tar", folder);
    made_pictures(&made, GOOD, 3, 40);
    make_tar(other, &made);
    ak_pictures before = load(other, KEEP, cache);
    memset(made.items[3].image.rgb, 9, 100);
    make_tar(other, &made);
    ak_pictures after = load(other, KEEP, cache), plain = load(other, KEEP, NULL);
    assert_same(&after, &plain);
    assert_int_equal(files_in_cache(), 1);
    // What the first set has mapped is the old file still.
    assert_memory_not_equal(before.items[3].image.rgb, after.items[3].image.rgb, 3 * KEEP * KEEP);
    ak_pictures_clear(&before);
    ak_pictures_clear(&after);
    ak_pictures_clear(&plain);
    ak_pictures_clear(&made);
}

static void *open_cache(void *arg)
{
    ak_cache *c;
    if (ak_cache_open(&c, cache, tar, KEEP, NULL) == AK_OK) {
        *(size_t *)arg = ak_cache_count(c);
        ak_cache_close(c);
    }
    return NULL;
}

static void who_wants_the_same_cache_at_once_gets_it(void **state)
{
    (void)state;
    enum { THREADS = 6 };
    for (int round = 0; round < 3; round++) {
        pthread_t threads[THREADS];
        size_t counts[THREADS] = {0};
        empty_cache();
        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, open_cache, &counts[i]);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(counts[i], GOOD);
        }
        assert_int_equal(files_in_cache(), 1); // and no temporary one
    }
}

static void a_folder_that_cannot_hold_the_cache_is_named(void **state)
{
    (void)state;
    ak_pictures set = {0};
    ak_error err = {0};
    const ak_pictures_options o = {KEEP, 1 << 20, "/dev/null/cache"};
    assert_int_not_equal(ak_pictures_add(&set, tar, &o, &err), AK_OK);
    assert_non_null(strstr(err.text, "/dev/null"));
    ak_pictures_clear(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_pictures_are_skipped_and_counted),
        cmocka_unit_test(a_set_without_pictures_and_one_over_the_limit_are_errors),
        cmocka_unit_test(the_cache_gives_the_same_set_and_is_made_once),
        cmocka_unit_test(the_cache_names_what_was_refused),
        cmocka_unit_test(another_side_is_another_file),
        cmocka_unit_test(folders_are_not_kept),
        cmocka_unit_test(a_damaged_cache_is_made_anew),
        cmocka_unit_test(a_tar_that_changed_is_decoded_anew),
        cmocka_unit_test(who_wants_the_same_cache_at_once_gets_it),
        cmocka_unit_test(a_folder_that_cannot_hold_the_cache_is_named),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
