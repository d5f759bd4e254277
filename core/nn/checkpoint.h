// Files of named tensors with a configuration: models, and the states of training runs.
//
// Layout, little-endian: magic "AKINCKPT", version (u32), length of the configuration (u32), the
// configuration (JSON text), number of tensors (u32), for each tensor its name (32 bytes, zero
// padded), type (u32), count (u64); then the tensors' bytes one after the other; at the end the
// SHA-256 of all before it. A reader verifies all of that before it hands anything out.
#ifndef AK_NN_CHECKPOINT_H
#define AK_NN_CHECKPOINT_H

#include "core/base/error.h"
#include "core/base/mem.h"

#define AK_CHECKPOINT_VERSION 1
#define AK_TENSORS_MAX        32
#define AK_TENSOR_NAME        32

typedef enum { AK_TENSOR_F32 = 0, AK_TENSOR_F16 = 1 } ak_tensor_type;

typedef struct {
    char name[AK_TENSOR_NAME];
    ak_tensor_type type; // as stored
    uint64_t count;
    const void *at; // reading: borrowed from the file's bytes; writing: f32, whatever the type
} ak_tensor;

typedef struct {
    ak_bytes config; // borrowed likewise
    ak_tensor tensors[AK_TENSORS_MAX];
    size_t n;
} ak_checkpoint;

// Adds n floats (borrowed until the write) to be stored as type.
void ak_checkpoint_add(ak_checkpoint *checkpoint, const char *name, const float *at, size_t n,
                       ak_tensor_type type);

// Appends the file to out.
ak_status ak_checkpoint_write(ak_buf *out, const ak_checkpoint *checkpoint, ak_error *err);

// AK_CORRUPT when it is cut short, has another magic or checksum; AK_BAD_VALUE for another version.
ak_status ak_checkpoint_read(ak_checkpoint *out, ak_bytes file, ak_error *err);

// Whether there is a tensor of that name with n numbers; AK_CORRUPT otherwise. To be asked before
// room for n is made.
ak_status ak_checkpoint_expect(const ak_checkpoint *checkpoint, const char *name, size_t n,
                               ak_error *err);

// The tensor as n floats; AK_CORRUPT when it is missing or has another count.
ak_status ak_checkpoint_floats(float *out, const ak_checkpoint *checkpoint, const char *name,
                               size_t n, ak_error *err);

#endif
