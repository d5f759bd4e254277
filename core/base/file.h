// Whole files: read, and replaced so that a crash leaves the old one or the new one.
#ifndef AK_BASE_FILE_H
#define AK_BASE_FILE_H

#include "core/base/error.h"
#include "core/base/mem.h"

// Appends the file's bytes to out; more than limit bytes are AK_TOO_LARGE.
ak_status ak_file_read(ak_buf *out, const char *path, size_t limit, ak_error *err);

// Temporary name beside path, write, fsync, rename, fsync of the folder.
ak_status ak_file_replace(const char *path, ak_bytes bytes, ak_error *err);

ak_status ak_folder_make(const char *path,
                         ak_error *err); // with its parents; fine when it is there
ak_status ak_folder_sync(const char *path,
                         ak_error *err); // makes renames and unlinks in it durable

#endif
