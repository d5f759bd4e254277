// ETag, If-None-Match and If-Match of single resources.
//
// A tag is "version" or "version.more": If-None-Match compares all of it, If-Match the version,
// so that a collection's counts, which are in its answer, do not stand in the way of a PATCH.
#ifndef AK_SERVER_CONDITION_H
#define AK_SERVER_CONDITION_H

#include "server/request.h"

#define AK_TAG_TEXT 96

// Adds the ETag header. True when the client has this one already: then 304 was answered.
bool ak_condition_unchanged(ak_request *r, const char *tag);

// out: "" without If-Match, else the version as text for ak_write.if_match.
// version: what is there now, -1: nothing. AK_PRECONDITION_FAILED when it is none that is named.
ak_status ak_condition_match(char out[24], const ak_request *r, int64_t version, ak_error *err);

#endif
