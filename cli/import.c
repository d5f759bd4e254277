// `akin import`: reads a folder or tar in order, asks in batches which pictures are there, and
// hands the others to the uploader. Memory is bounded by a batch and the uploader's queue.
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "cli/upload.h"
#include "core/base/archive.h"
#include "core/eval/embed_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH       64
#define BATCH_BYTES ((size_t)32 << 20) // a batch is closed when its files reach this
#define PARALLEL    16

typedef struct {
    const char *server, *collection;
    long parallel;
    ak_client *client; // of the reading thread
    ak_uploader *uploader;
    ak_upload *batch[BATCH];
    bool there[BATCH];
    size_t n;
} import_job;

static void mark_there(void *arg, const ak_sha256 *sum, const char *id)
{
    import_job *im = arg;
    for (size_t i = 0; i < im->n; i++)
        if (!memcmp(sum, &im->batch[i]->sum, sizeof *sum) && !strcmp(id, im->batch[i]->id))
            im->there[i] = true;
}

// Hands on what is not there. *more is set to false when the uploads have stopped.
static ak_status flush(import_job *im, bool *more, ak_error *err)
{
    const ak_sha256 *sums[BATCH];
    memset(im->there, 0, sizeof im->there);
    for (size_t i = 0; i < im->n; i++)
        sums[i] = &im->batch[i]->sum;
    ak_status status = AK_OK;
    if (im->n)
        status = ak_remote_check(im->client, im->collection, sums, im->n, mark_there, im, err);
    for (size_t i = 0; i < im->n; i++) {
        if (status != AK_OK || !*more) {
            ak_upload_free(im->batch[i]);
        } else if (im->there[i]) {
            ak_uploader_existing(im->uploader);
            ak_upload_free(im->batch[i]);
        } else if (!ak_uploader_push(im->uploader, im->batch[i])) {
            *more = false;
        }
    }
    im->n = 0;
    return status;
}

static ak_upload *upload_of(const ak_entry *entry)
{
    ak_upload *upload = calloc(1, sizeof *upload);
    if (!upload || !(upload->path = ak_strndup(entry->name, strlen(entry->name))) ||
        !ak_buf_append(&upload->bytes, entry->bytes.at, entry->bytes.n)) {
        ak_upload_free(upload);
        return NULL;
    }
    upload->sum = ak_sha256_of(entry->bytes);
    ak_import_id(upload->id, entry->name);
    return upload;
}

static ak_status read_all(import_job *im, const char *path, ak_error *err)
{
    ak_archive *archive = NULL;
    bool more = true;
    size_t bytes = 0;
    ak_status status = ak_archive_open(&archive, path, AK_EMBED_FILE_LIMIT, err);
    while (status == AK_OK && more) {
        ak_entry entry;
        bool got;
        status = ak_archive_next(archive, &entry, &got, err);
        if (status != AK_OK || !got)
            break;
        if (entry.status != AK_OK) {
            ak_uploader_refused(im->uploader, entry.name, entry.status, entry.reason);
            continue;
        }
        ak_upload *upload = upload_of(&entry);
        if (!upload) {
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to read %s", entry.name);
            break;
        }
        im->batch[im->n++] = upload;
        bytes += entry.bytes.n;
        if (im->n == BATCH || bytes >= BATCH_BYTES) {
            bytes = 0;
            status = flush(im, &more, err);
        }
    }
    // What was read before an archive broke off is imported all the same.
    ak_error later;
    ak_status last = im->n ? flush(im, &more, &later) : AK_OK;
    if (status == AK_OK && last != AK_OK)
        status = ak_fail(err, last, "%s", later.text);
    ak_archive_close(archive);
    return status;
}

static void print_counts(const ak_upload_counts *c, const ak_report *report, double seconds)
{
    size_t done = c->created + c->existing + c->replaced + report->failed;
    printf("%zu created, %zu existing, %zu replaced, %zu failed; %.1f s, %.1f pictures/s\n",
           c->created, c->existing, c->replaced, report->failed, seconds,
           seconds > 0 ? (double)done / seconds : 0);
}

static int run(import_job *im, const char *path, bool json)
{
    ak_error err, stopped;
    ak_report report;
    ak_upload_counts counts = {0};
    size_t total = 0;
    ak_report_init(&report, "import", 0, json);
    ak_status status = ak_client_new(&im->client, im->server, &err);
    if (status == AK_OK)
        status = ak_embed_set_count(&total, path, &err);
    if (status == AK_CORRUPT) // what stands before the damage can be had
        status = AK_OK;
    ak_progress_total(&report.progress, total);
    if (status == AK_OK)
        status = ak_remote_collection(im->client, im->collection, &err);
    if (status == AK_OK)
        status = ak_uploader_new(&im->uploader, im->server, im->collection, (int)im->parallel,
                                 &report, &err);
    if (status == AK_OK) {
        status = read_all(im, path, &err);
        ak_status uploads = ak_uploader_finish(&counts, im->uploader, &stopped);
        if (uploads != AK_OK && status == AK_OK) {
            status = uploads;
            err = stopped;
        }
    }
    double seconds = ak_report_end(&report);
    size_t done = counts.created + counts.existing + counts.replaced + report.failed;
    if (status != AK_OK)
        fprintf(stderr, "akin import: %s\n", err.text);
    if (json)
        ak_report_json(&report,
                       json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "server", im->server,
                                 "collection", im->collection, "total", (json_int_t)done, "created",
                                 (json_int_t)counts.created, "existing",
                                 (json_int_t)counts.existing, "replaced",
                                 (json_int_t)counts.replaced),
                       done, seconds, status == AK_OK ? NULL : &err);
    else if (im->uploader)
        print_counts(&counts, &report, seconds);
    int exit = status == AK_OK ? report.exit : ak_status_exit(status);
    ak_uploader_free(im->uploader);
    ak_client_free(im->client);
    ak_report_clear(&report);
    return exit;
}

int ak_cli_import(int argc, char **argv)
{
    bool json = false;
    char **operands;
    import_job im = {.server = ak_remote_default(), .collection = "default", .parallel = PARALLEL};
    const ak_option table[] = {
        {AK_OPTION_TEXT, "server", "URL", "the server (AKIN_SERVER, or http://127.0.0.1:8470)",
         &im.server, 0, 0},
        {AK_OPTION_TEXT, "collection", "C", "the collection, made when missing (default)",
         &im.collection, 0, 0},
        {AK_OPTION_NUMBER, "parallel", "N", "uploads under way at once (16)", &im.parallel, 1,
         AK_UPLOAD_PARALLEL_MAX},
        {0}};
    const ak_usage usage = {
        .command = "import",
        .operands = "DIR|TAR",
        .about = "Uploads the pictures of a folder or tar. What is there already is skipped, what\n"
                 "has changed is replaced, what the server refuses is named. AKIN_KEY: the key.",
        .options = table,
        .operand_count = 1,
        .json = &json};
    int status = ak_options_parse(&operands, &usage, argc, argv);
    return status == AK_OPTIONS_GO ? run(&im, operands[0], json) : status;
}
