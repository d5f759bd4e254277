// Encoders: the models that are loaded, each with its batcher.
//
// The base model's and those that served collections at the start are loaded then; others when they
// are first asked for, up to a bound. One that nobody holds may be freed: when room is wanted, or
// by ak_encoders_trim when no collection is served by its model. Any thread, unless said otherwise.
#ifndef AK_SERVER_ENCODERS_H
#define AK_SERVER_ENCODERS_H

#include "index/store.h"
#include "server/batcher.h"

typedef struct ak_encoder ak_encoder;
typedef struct ak_encoders ak_encoders;

// most: how many at once, at least 1. The batchers warm up behind it. store is borrowed.
ak_status ak_encoders_open(ak_encoders **out, ak_store *store, const ak_batcher_options *options,
                           size_t most, ak_error *err);
void ak_encoders_close(ak_encoders *encoders); // nobody holds any; NULL is fine

// Whether those of the start are warm: AK_OK, AK_OVERLOADED while they are not, or what failed.
ak_status ak_encoders_ready(ak_encoders *encoders, ak_error *err);
const char *ak_encoders_base(const ak_encoders *encoders); // the base model's id

// With a reference. Loads the model when it is not there (some 50 ms); its batcher then warms up
// while inputs wait. AK_OVERLOADED when all places are taken by encoders in use.
ak_status ak_encoder_take(ak_encoder **out, ak_encoders *encoders, const char *model,
                          ak_error *err);
void ak_encoder_keep(ak_encoder *encoder);
void ak_encoder_release(ak_encoder *encoder); // NULL is fine
const ak_model *ak_encoder_model(const ak_encoder *encoder);
ak_batcher *ak_encoder_batcher(const ak_encoder *encoder);

// Frees those that nobody holds and that serve nothing. Waits for their threads' ends.
void ak_encoders_trim(ak_encoders *encoders);

#endif
