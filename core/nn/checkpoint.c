#include "core/nn/checkpoint.h"

#include "core/base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = "AKINCKPT";

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the files are little-endian");

void ak_checkpoint_add(ak_checkpoint *c, const char *name, const float *at, size_t n,
                       ak_tensor_type type)
{
    ak_tensor *t = &c->tensors[c->n++];
    *t = (ak_tensor){.type = type, .count = n, .at = at};
    snprintf(t->name, sizeof t->name, "%s", name);
}

static size_t size_of(ak_tensor_type type)
{
    return type == AK_TENSOR_F16 ? 2 : 4;
}

static bool put_u32(ak_buf *out, uint32_t v)
{
    return ak_buf_append(out, &v, sizeof v);
}

static bool put_tensor(ak_buf *out, const ak_tensor *t)
{
    if (t->type == AK_TENSOR_F32)
        return ak_buf_append(out, t->at, t->count * 4);
    if (!ak_buf_reserve(out, t->count * 2))
        return false;
    for (uint64_t i = 0; i < t->count; i++) {
        _Float16 half = (_Float16)((const float *)t->at)[i];
        memcpy(out->at + out->n, &half, 2);
        out->n += 2;
    }
    return true;
}

ak_status ak_checkpoint_write(ak_buf *out, const ak_checkpoint *c, ak_error *err)
{
    size_t start = out->n;
    bool ok = ak_buf_append(out, magic, sizeof magic) && put_u32(out, AK_CHECKPOINT_VERSION) &&
              put_u32(out, (uint32_t)c->config.n) &&
              ak_buf_append(out, c->config.at, c->config.n) && put_u32(out, (uint32_t)c->n);
    for (size_t i = 0; i < c->n && ok; i++)
        ok = ak_buf_append(out, c->tensors[i].name, AK_TENSOR_NAME) &&
             put_u32(out, c->tensors[i].type) && ak_buf_append(out, &c->tensors[i].count, 8);
    for (size_t i = 0; i < c->n && ok; i++)
        ok = put_tensor(out, &c->tensors[i]);
    if (ok) {
        ak_sha256 sum = ak_sha256_of((ak_bytes){out->at + start, out->n - start});
        ok = ak_buf_append(out, sum.at, sizeof sum.at);
    }
    return ok ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a checkpoint");
}

static bool take(void *to, ak_bytes *from, size_t n)
{
    if (from->n < n)
        return false;
    memcpy(to, from->at, n);
    from->at += n;
    from->n -= n;
    return true;
}

ak_status ak_checkpoint_read(ak_checkpoint *out, ak_bytes file, ak_error *err)
{
    char start[8];
    uint32_t version, length, n;
    ak_bytes rest = file;
    memset(out, 0, sizeof *out);
    if (!take(start, &rest, sizeof start) || memcmp(start, magic, sizeof magic) != 0)
        return ak_fail(err, AK_CORRUPT, "this is no Akin checkpoint: the first bytes are others");
    if (!take(&version, &rest, 4) || rest.n < AK_SHA256_BYTES)
        return ak_fail(err, AK_CORRUPT, "the checkpoint is cut short: %zu bytes", file.n);
    if (version != AK_CHECKPOINT_VERSION)
        return ak_fail(err, AK_BAD_VALUE, "the checkpoint has version %u; this Akin reads %d",
                       version, AK_CHECKPOINT_VERSION);
    ak_sha256 sum = ak_sha256_of((ak_bytes){file.at, file.n - AK_SHA256_BYTES});
    if (memcmp(sum.at, file.at + file.n - AK_SHA256_BYTES, AK_SHA256_BYTES) != 0)
        return ak_fail(err, AK_CORRUPT,
                       "the checkpoint's checksum does not match: it is cut short "
                       "or damaged");
    rest.n -= AK_SHA256_BYTES;
    if (!take(&length, &rest, 4) || length > rest.n)
        return ak_fail(err, AK_CORRUPT, "the checkpoint's configuration is cut short");
    out->config = (ak_bytes){rest.at, length};
    rest.at += length;
    rest.n -= length;
    if (!take(&n, &rest, 4) || n > AK_TENSORS_MAX)
        return ak_fail(err, AK_CORRUPT, "the checkpoint has more than %d tensors", AK_TENSORS_MAX);
    for (out->n = 0; out->n < n; out->n++) {
        ak_tensor *t = &out->tensors[out->n];
        uint32_t type;
        if (!take(t->name, &rest, AK_TENSOR_NAME) || !take(&type, &rest, 4) ||
            !take(&t->count, &rest, 8) || type > AK_TENSOR_F16 || t->name[AK_TENSOR_NAME - 1])
            return ak_fail(err, AK_CORRUPT, "the checkpoint's table of tensors is damaged");
        t->type = (ak_tensor_type)type;
    }
    for (size_t i = 0; i < out->n; i++) {
        ak_tensor *t = &out->tensors[i];
        size_t bytes;
        if (!ak_mul(&bytes, t->count, size_of(t->type)) || bytes > rest.n)
            return ak_fail(err, AK_CORRUPT, "the checkpoint's tensor %s is cut short", t->name);
        t->at = rest.at;
        rest.at += bytes;
        rest.n -= bytes;
    }
    return AK_OK;
}

static const ak_tensor *find(const ak_checkpoint *c, const char *name, size_t n, ak_error *err)
{
    for (size_t i = 0; i < c->n; i++) {
        const ak_tensor *t = &c->tensors[i];
        if (strcmp(t->name, name) != 0)
            continue;
        if (t->count == n)
            return t;
        ak_fail(err, AK_CORRUPT, "the checkpoint's %s has %llu numbers; %zu are needed", name,
                (unsigned long long)t->count, n);
        return NULL;
    }
    ak_fail(err, AK_CORRUPT, "the checkpoint has no %s", name);
    return NULL;
}

ak_status ak_checkpoint_expect(const ak_checkpoint *c, const char *name, size_t n, ak_error *err)
{
    return find(c, name, n, err) ? AK_OK : AK_CORRUPT;
}

ak_status ak_checkpoint_floats(float *out, const ak_checkpoint *c, const char *name, size_t n,
                               ak_error *err)
{
    const ak_tensor *t = find(c, name, n, err);
    if (!t)
        return AK_CORRUPT;
    if (t->type == AK_TENSOR_F32) {
        memcpy(out, t->at, n * 4);
        return AK_OK;
    }
    for (size_t j = 0; j < n; j++) {
        _Float16 half;
        memcpy(&half, (const uint8_t *)t->at + 2 * j, 2);
        out[j] = (float)half;
    }
    return AK_OK;
}
