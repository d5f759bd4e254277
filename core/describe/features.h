// The encoder as it serves: prepared pictures to pooled features, any number at a time.
//
// Networks are compiled for a few batch sizes on first use and kept; a request is cut into those.
// One thread at a time; uses the OpenMP threads that the caller may.
#ifndef AK_DESCRIBE_FEATURES_H
#define AK_DESCRIBE_FEATURES_H

#include "core/nn/dnn.h"

typedef struct ak_features ak_features;

// params and stats are borrowed and must outlive the object.
ak_status ak_features_new(ak_features **out, const ak_resnet *net, int side, const float *params,
                          const float *stats, ak_dnn_type type, ak_error *err);
void ak_features_free(ak_features *features);

size_t ak_features_count(const ak_features *features); // of one picture

// out (n, count) from pixels (n, side, side, 3).
ak_status ak_features_run(float *out, ak_features *features, const uint8_t *pixels, size_t n,
                          ak_error *err);

#endif
