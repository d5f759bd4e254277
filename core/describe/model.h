// A model: encoder weights, whitening and input geometry; and the embedder that runs it.
//
//   picture -> ak_model_prepare (any thread) -> input bytes -> ak_embedder_run -> descriptors
//
// A model is immutable and may be shared by threads. An embedder belongs to one thread at a time
// and uses all OpenMP threads that this thread may.
#ifndef AK_DESCRIBE_MODEL_H
#define AK_DESCRIBE_MODEL_H

#include "core/image/image.h"

#define AK_MODEL_ID_HEX     32 // a model's id: the first digits of its file's SHA-256
#define AK_MODEL_FILE_LIMIT ((size_t)256 << 20)
#define AK_EMBED_BATCH      64

typedef struct ak_model ak_model;
typedef struct ak_embedder ak_embedder;

// How the network computes. AUTO: bf16 where the processor multiplies it, else f32.
typedef enum { AK_PRECISION_AUTO, AK_PRECISION_F32, AK_PRECISION_BF16 } ak_precision;

// Magic, version, lengths and checksum are verified before anything else is believed:
// AK_CORRUPT, or AK_BAD_VALUE for a file of another version or without a whitening.
ak_status ak_model_read(ak_model **out, ak_bytes file, ak_error *err);
ak_status ak_model_load(ak_model **out, const char *path, ak_error *err);
void ak_model_free(ak_model *model);

const char *ak_model_id(const ak_model *model);
int ak_model_dims(const ak_model *model);           // of a descriptor
size_t ak_model_input_bytes(const ak_model *model); // of one prepared picture

// The picture as the network takes it: resized by the model's geometry. input:
// ak_model_input_bytes. Thread-safe.
ak_status ak_model_prepare(uint8_t *input, const ak_model *model, const ak_image *pixels,
                           ak_error *err);

// model is borrowed and must outlive the embedder.
ak_status ak_embedder_new(ak_embedder **out, const ak_model *model, ak_precision precision,
                          ak_error *err);
void ak_embedder_free(ak_embedder *embedder);

// descriptors (n, dims), unit length; inputs (n, input_bytes); any n.
ak_status ak_embedder_run(float *descriptors, ak_embedder *embedder, const uint8_t *inputs,
                          size_t n, ak_error *err);

#endif
