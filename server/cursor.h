// Cursors of lists: a place, bound by a keyed hash to the list that it belongs to.
#ifndef AK_SERVER_CURSOR_H
#define AK_SERVER_CURSOR_H

#include "index/store.h"

#define AK_CURSOR_MAX 320 // bytes of a cursor's text, with its zero

typedef struct {
    uint8_t at[32];
} ak_cursor_key;

// list names the query: "collections", or "images/holiday/-created_at".
void ak_cursor_write(char out[AK_CURSOR_MAX], const ak_cursor_key *key, const char *list,
                     const ak_position *position);

// AK_BAD_CURSOR: altered, of another list, or no cursor at all.
ak_status ak_cursor_read(ak_position *position, const ak_cursor_key *key, const char *list,
                         const char *text, ak_error *err);

#endif
