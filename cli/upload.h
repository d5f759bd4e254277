// Uploads side by side: a bounded queue of pictures, and threads with a connection each.
//
// A picture that the server refuses is named in the report; when the server itself fails (after
// the tries of ak_client_call_patiently) all threads stop, and nothing more is taken.
#ifndef AK_CLI_UPLOAD_H
#define AK_CLI_UPLOAD_H

#include "cli/names.h"
#include "cli/report.h"
#include "core/base/hash.h"

#define AK_UPLOAD_PARALLEL_MAX 64

typedef struct {
    char *path; // within the folder or tar
    char id[AK_IMPORT_ID_MAX + 1];
    ak_buf bytes;
    ak_sha256 sum;
} ak_upload;

void ak_upload_free(ak_upload *upload); // NULL is fine

typedef struct {
    size_t created, existing, replaced;
} ak_upload_counts;

typedef struct ak_uploader ak_uploader;

// Starts the threads. All is borrowed until ak_uploader_free.
ak_status ak_uploader_new(ak_uploader **out, const char *server, const char *collection,
                          int parallel, ak_report *report, ak_error *err);

// Takes the upload, to free it when it is done; waits while the queue is full. False when the
// threads have stopped (the upload is freed even so): ak_uploader_finish tells why.
bool ak_uploader_push(ak_uploader *uploader, ak_upload *upload);

// A file that needs no upload, because it is there.
void ak_uploader_existing(ak_uploader *uploader);

// A file that cannot be uploaded.
void ak_uploader_refused(ak_uploader *uploader, const char *path, ak_status status,
                         const char *reason);

// Waits until the queue is empty and the threads have ended; the error that stopped them, if any.
ak_status ak_uploader_finish(ak_upload_counts *counts, ak_uploader *uploader, ak_error *err);
void ak_uploader_free(ak_uploader *uploader); // stops at once what is under way

#endif
