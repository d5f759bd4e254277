// Yardsticks: the pictures that a refined model is measured on and never trained on.
//
// Which ones they are follows from their content's SHA-256 and one number a collection, so nothing
// is stored and nothing leaks: a picture is a yardstick iff u < t, u in [0, 1) from its sum. t
// falls as the collection grows and never rises, so no yardstick was ever in a training list
// before.
#ifndef AK_REFINE_YARDSTICK_H
#define AK_REFINE_YARDSTICK_H

#include "core/base/hash.h"

#include <stdint.h>

#define AK_YARDSTICKS_WANTED 400
#define AK_YARDSTICK_LEAST   0.05 // share of a collection
#define AK_YARDSTICK_MOST    0.3

// What part a picture plays in a run.
typedef enum {
    AK_ROLE_TRAIN,         // of the run's collections, new to training
    AK_ROLE_REPLAY,        // trained on by an earlier run, or of another collection
    AK_ROLE_YARDSTICK,     // of the run's collections
    AK_ROLE_OLD_YARDSTICK, // of other collections: the old ground
    AK_ROLE_NONE,          // too near to a yardstick to be trained on, or too near to what was
    AK_ROLES
} ak_role;

const char *ak_role_name(ak_role role); // "train", "old-yardstick"

// clamp(400 / n, 0.05, 0.3), and never above `previous`, the number that is stored for the
// collection (1 when there is none yet). n: pictures that it holds.
double ak_yardstick_threshold(double previous, uint64_t n);

// u in [0, 1).
double ak_yardstick_u(const ak_sha256 *sum);

// The role by the rules that need no pixels. threshold: the greatest of the collections that hold
// the picture. inside: one of them is the run's. trained: an earlier run was trained on it.
ak_role ak_role_of(const ak_sha256 *sum, double threshold, bool inside, bool trained);

#endif
