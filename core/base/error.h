// Errors: a code and one line for a person that names the value and the limit.
//
// A function that can fail returns ak_status and fills the ak_error that its caller passes. The
// table below is the only list of codes: the enum, the HTTP status, the problem type (the code with
// '-' for '_'), the title and the exit status of the command line are all read from it.
#ifndef AK_BASE_ERROR_H
#define AK_BASE_ERROR_H

// X(NAME, code, http status, exit status, title)
#define AK_STATUS_TABLE(X)                                                                         \
    X(OK, "ok", 200, 0, "All well")                                                                \
    X(BAD_REQUEST, "bad_request", 400, 2, "The request cannot be read")                            \
    X(BAD_JSON, "bad_json", 400, 2, "The JSON cannot be read")                                     \
    X(BAD_VALUE, "bad_value", 400, 2, "A value is not allowed")                                    \
    X(BAD_VECTOR, "bad_vector", 400, 2, "The vector cannot be used")                               \
    X(BAD_CURSOR, "bad_cursor", 400, 2, "The cursor is not of this list")                          \
    X(UNAUTHORIZED, "unauthorized", 401, 3, "A key is needed")                                     \
    X(FOREIGN_ORIGIN, "foreign_origin", 403, 3, "Pages of other sites may not call")               \
    X(UNKNOWN_ROUTE, "unknown_route", 404, 3, "There is nothing at this path")                     \
    X(UNKNOWN_COLLECTION, "unknown_collection", 404, 3, "There is no such collection")             \
    X(UNKNOWN_IMAGE, "unknown_image", 404, 3, "There is no such image")                            \
    X(UNKNOWN_MODEL, "unknown_model", 404, 3, "There is no such model")                            \
    X(NOT_FOUND, "not_found", 404, 3, "Not found")                                                 \
    X(METHOD_NOT_ALLOWED, "method_not_allowed", 405, 3, "The method is not offered here")          \
    X(REQUEST_TIMEOUT, "request_timeout", 408, 3, "The body came too slowly")                      \
    X(ID_TAKEN, "id_taken", 409, 1, "The id belongs to another picture")                           \
    X(CONFLICT, "conflict", 409, 3, "The state does not allow this now")                           \
    X(PRECONDITION_FAILED, "precondition_failed", 412, 3, "The resource has changed")              \
    X(TOO_LARGE, "too_large", 413, 1, "The body is too large")                                     \
    X(URI_TOO_LONG, "uri_too_long", 414, 2, "The request line is too long")                        \
    X(NOT_AN_IMAGE, "not_an_image", 415, 1, "The bytes are not a picture that Akin reads")         \
    X(UNSUPPORTED_MEDIA, "unsupported_media", 415, 3, "The content type is not read here")         \
    X(MISDIRECTED, "misdirected", 421, 3, "This host is not served here")                          \
    X(BROKEN_IMAGE, "broken_image", 422, 1, "The picture cannot be decoded")                       \
    X(IMAGE_TOO_LARGE, "image_too_large", 422, 1, "The picture has too many pixels")               \
    X(BROKEN_MODEL, "broken_model", 422, 1, "The checkpoint is damaged")                           \
    X(FOREIGN_MODEL, "foreign_model", 422, 1, "The checkpoint is none that this Akin serves")      \
    X(OTHER_DIMENSIONS, "other_dimensions", 422, 1, "The model makes vectors of another length")   \
    X(KEY_REUSED, "key_reused", 422, 3, "The Idempotency-Key belongs to another request")          \
    X(HEADERS_TOO_LARGE, "headers_too_large", 431, 2, "The headers are too large")                 \
    X(INTERNAL, "internal", 500, 3, "A fault of the server")                                       \
    X(OUT_OF_MEMORY, "out_of_memory", 500, 3, "Memory ran out")                                    \
    X(IO, "io", 500, 3, "A file could not be read or written")                                     \
    X(CORRUPT, "corrupt", 500, 3, "A file is damaged")                                             \
    X(UNSUPPORTED_CPU, "unsupported_cpu", 500, 3, "The processor lacks what Akin needs")           \
    X(OVERLOADED, "overloaded", 503, 3, "The server is busy")                                      \
    X(SHUTTING_DOWN, "shutting_down", 503, 3, "The server is stopping")                            \
    X(DISK_FULL, "disk_full", 507, 3, "The disk is full")                                          \
    X(READ_ONLY, "read_only", 507, 3, "The data folder cannot be written")

typedef enum {
#define X(name, code, http, exit, title) AK_##name,
    AK_STATUS_TABLE(X)
#undef X
        AK_STATUS_COUNT
} ak_status;

typedef struct ak_error {
    ak_status status;
    char text[480]; // one line, what was wrong and what to change
} ak_error;

// Fills err (may be NULL) and returns status, so that callers write `return ak_fail(...)`.
ak_status ak_fail(ak_error *err, ak_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The same for a failed system call: appends ": " and the text of errnum, and turns ENOSPC and
// EDQUOT into AK_DISK_FULL, EROFS and EACCES into AK_READ_ONLY, ENOMEM into AK_OUT_OF_MEMORY.
ak_status ak_fail_errno(ak_error *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Puts "context: " before the text that is there, and returns err's status.
// With err NULL it is AK_INTERNAL.
ak_status ak_fail_within(ak_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

const char *ak_status_code(ak_status status); // "unknown_collection"
const char *ak_status_title(ak_status status);
int ak_status_http(ak_status status);
int ak_status_exit(ak_status status);

#endif
