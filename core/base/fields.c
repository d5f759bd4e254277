#include "core/base/fields.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_BYTES 160

static const ak_field *find(const ak_field *table, const char *key)
{
    for (; table->key; table++)
        if (strcmp(table->key, key) == 0)
            return table;
    return NULL;
}

static void path_of(char path[PATH_MAX_BYTES], const char *where, const char *key)
{
    snprintf(path, PATH_MAX_BYTES, "%s%s%s", where, *where ? "." : "", key);
}

static ak_status unknown(const ak_field *table, const char *path, ak_error *err)
{
    char known[400] = "";
    for (size_t n = 0; table->key && n < sizeof known - 1; table++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", table->key);
    return ak_fail(err, AK_BAD_VALUE, "there is no \"%s\"; possible are %s", path, known);
}

static ak_status set_choice(int *to, const ak_field *f, const char *text, const char *path,
                            ak_error *err)
{
    char known[400] = "";
    size_t n = 0;
    for (int i = 0; f->choices[i]; i++) {
        if (strcmp(f->choices[i], text) == 0) {
            *to = i;
            return AK_OK;
        }
        if (n < sizeof known - 1)
            n +=
                (size_t)snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", f->choices[i]);
    }
    return ak_fail(err, AK_BAD_VALUE, "%s is \"%s\"; possible are %s", path, text, known);
}

static ak_status set_number(void *at, const ak_field *f, double value, const char *path,
                            ak_error *err)
{
    if (!(value >= f->least && value <= f->most))
        return ak_fail(err, AK_BAD_VALUE, "%s is %g; %g to %g are possible", path, value, f->least,
                       f->most);
    bool whole = f->type == AK_FIELD_INT || f->type == AK_FIELD_INT4 || f->type == AK_FIELD_COUNT;
    if (whole && value != floor(value))
        return ak_fail(err, AK_BAD_VALUE, "%s is %g; it must be a whole number", path, value);
    switch (f->type) {
    case AK_FIELD_INT:
    case AK_FIELD_INT4:
        *(int *)at = (int)value;
        break;
    case AK_FIELD_COUNT:
        *(uint64_t *)at = (uint64_t)value;
        break;
    case AK_FIELD_FLOAT:
        *(float *)at = (float)value;
        break;
    default:
        *(double *)at = value;
    }
    return AK_OK;
}

// All four or none.
static ak_status set_four(int *at, const ak_field *f, const json_t *value, const char *path,
                          ak_error *err)
{
    int four[4];
    if (!json_is_array(value) || json_array_size(value) != 4)
        return ak_fail(err, AK_BAD_VALUE, "%s must be an array of four numbers", path);
    for (size_t i = 0; i < 4; i++) {
        const json_t *item = json_array_get(value, i);
        if (!json_is_number(item))
            return ak_fail(err, AK_BAD_VALUE, "%s must be an array of four numbers", path);
        ak_status status = set_number(&four[i], f, json_number_value(item), path, err);
        if (status != AK_OK)
            return status;
    }
    memcpy(at, four, sizeof four);
    return AK_OK;
}

static ak_status set(void *to, const ak_field *f, const json_t *value, const char *path,
                     ak_error *err)
{
    void *at = (char *)to + f->at;
    if (f->type == AK_FIELD_BOOL) {
        if (!json_is_boolean(value))
            return ak_fail(err, AK_BAD_VALUE, "%s must be true or false", path);
        *(bool *)at = json_is_true(value);
        return AK_OK;
    }
    if (f->type == AK_FIELD_CHOICE) {
        if (!json_is_string(value))
            return ak_fail(err, AK_BAD_VALUE, "%s must be a text", path);
        return set_choice(at, f, json_string_value(value), path, err);
    }
    if (f->type == AK_FIELD_INT4)
        return set_four(at, f, value, path, err);
    if (!json_is_number(value))
        return ak_fail(err, AK_BAD_VALUE, "%s must be a number", path);
    return set_number(at, f, json_number_value(value), path, err);
}

ak_status ak_fields_read(void *to, const ak_field *table, const json_t *object, const char *where,
                         ak_error *err)
{
    char path[PATH_MAX_BYTES];
    if (!json_is_object(object))
        return ak_fail(err, AK_BAD_VALUE, "%s must be an object", *where ? where : "the file");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        path_of(path, where, key);
        const ak_field *f = find(table, key);
        ak_status status = f ? set(to, f, value, path, err) : unknown(table, path, err);
        if (status != AK_OK)
            return status;
    }
    return AK_OK;
}

// The shortest decimal that reads back as the same float: 0.3, not 0.30000001192092896.
static double decimal_of(float value)
{
    char text[32];
    double back = (double)value;
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        back = strtod(text, NULL);
        if ((float)back == value)
            break;
    }
    return back;
}

json_t *ak_fields_write(const void *from, const ak_field *table)
{
    json_t *object = json_object();
    for (; object && table->key; table++) {
        const void *at = (const char *)from + table->at;
        json_t *value = NULL;
        switch (table->type) {
        case AK_FIELD_BOOL:
            value = json_boolean(*(const bool *)at);
            break;
        case AK_FIELD_INT:
            value = json_integer(*(const int *)at);
            break;
        case AK_FIELD_INT4: {
            const int *i = at;
            value = json_pack("[iiii]", i[0], i[1], i[2], i[3]);
            break;
        }
        case AK_FIELD_COUNT:
            value = json_integer((json_int_t) * (const uint64_t *)at);
            break;
        case AK_FIELD_FLOAT:
            value = json_real(decimal_of(*(const float *)at));
            break;
        case AK_FIELD_DOUBLE:
            value = json_real(*(const double *)at);
            break;
        case AK_FIELD_CHOICE:
            value = json_string(table->choices[*(const int *)at]);
            break;
        }
        if (json_object_set_new(object, table->key, value) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

ak_status ak_fields_set(void *to, const ak_field *table, const char *key, const char *text,
                        ak_error *err)
{
    const ak_field *f = find(table, key);
    if (!f)
        return unknown(table, key, err);
    if (f->type == AK_FIELD_CHOICE)
        return set_choice((int *)((char *)to + f->at), f, text, key, err);
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    ak_status status = value ? set(to, f, value, key, err)
                             : ak_fail(err, AK_BAD_VALUE, "%s is \"%s\"; it must be %s", key, text,
                                       f->type == AK_FIELD_BOOL   ? "true or false"
                                       : f->type == AK_FIELD_INT4 ? "four numbers, [1, 1, 1, 1]"
                                                                  : "a number");
    json_decref(value);
    return status;
}
