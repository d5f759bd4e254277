// JSON bodies: read once under their caps, taken apart with every fault noted by its pointer.
//
// The readers note faults in the request (ak_fault) and go on, so that a client is told of all of
// them at once; ak_json_sound() turns them into one error at the end.
#ifndef AK_SERVER_JSON_H
#define AK_SERVER_JSON_H

#include "server/request.h"

// An object or array; NULL with err filled: AK_BAD_JSON for what is no JSON, a duplicate member,
// too deep; AK_TOO_LARGE over json_bytes. The caller drops the reference.
json_t *ak_json_read(const ak_request *r, ak_bytes text, ak_error *err);

// Notes that the value at base + "/" + member is wrong; member may be NULL.
void ak_fault(ak_request *r, const char *base, const char *member, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// Notes members of object that are in neither list (space-separated names); those in `later` are
// told apart as not offered yet. False when object is no object.
bool ak_json_members(ak_request *r, const char *base, const json_t *object, const char *known,
                     const char *later);

// Optional members: false when absent (or faulty, then noted); null counts as absent.
bool ak_json_text(const char **out, ak_request *r, const char *base, const json_t *object,
                  const char *member, size_t most_bytes);
bool ak_json_whole(int64_t *out, ak_request *r, const char *base, const json_t *object,
                   const char *member, int64_t least, int64_t most);
bool ak_json_real(double *out, ak_request *r, const char *base, const json_t *object,
                  const char *member, double least, double most);
bool ak_json_bool(bool *out, ak_request *r, const char *base, const json_t *object,
                  const char *member);
bool ak_json_time(int64_t *out, ak_request *r, const char *base, const json_t *object,
                  const char *member);

// RFC 3339 to ms since 1970; false for anything else.
bool ak_time_read(int64_t *ms, const char *text);

// AK_OK, or AK_BAD_VALUE with the first fault's text when any was noted.
ak_status ak_json_sound(const ak_request *r, ak_error *err);

#endif
