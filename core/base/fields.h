// Structs read from JSON objects and written to them, by tables that are also their documentation.
//
// A table has a row for each member: its key, its type, its place in the struct, its range. Reading
// changes the members that the object names and leaves the others as they were, so defaults are
// what the struct held before. An unknown key, a wrong type and a value out of range are
// AK_BAD_VALUE with the key's path, what was found and what is possible.
#ifndef AK_BASE_FIELDS_H
#define AK_BASE_FIELDS_H

#include "core/base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    AK_FIELD_BOOL,   // bool
    AK_FIELD_INT,    // int
    AK_FIELD_INT4,   // int[4], an array
    AK_FIELD_COUNT,  // uint64_t; at most 2^53
    AK_FIELD_FLOAT,  // float
    AK_FIELD_DOUBLE, // double
    AK_FIELD_CHOICE, // int: index into `choices`
} ak_field_type;

typedef struct {
    const char *key; // NULL ends a table
    ak_field_type type;
    size_t at;                  // offset in the struct
    double least, most;         // inclusive
    const char *help;           // one line
    const char *const *choices; // CHOICE: names, ended by NULL
} ak_field;

// `where` is the object's own path, for messages ("views"); "" for the outermost.
ak_status ak_fields_read(void *to, const ak_field *table, const json_t *object, const char *where,
                         ak_error *err);

// Sets the members in a new object, or returns NULL when there is no memory.
json_t *ak_fields_write(const void *from, const ak_field *table);

// One member from text, as a command line has it: "tau" "0.2".
ak_status ak_fields_set(void *to, const ak_field *table, const char *key, const char *text,
                        ak_error *err);

#endif
