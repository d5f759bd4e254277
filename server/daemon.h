// What the server's parts share: one ak_server, made by server.c, read by everyone.
//
// Nothing in it changes after ak_server_start, so no lock guards it; the parts behind the pointers
// guard themselves.
#ifndef AK_SERVER_DAEMON_H
#define AK_SERVER_DAEMON_H

#include "index/store.h"
#include "server/cursor.h"
#include "server/encoders.h"
#include "server/filler.h"
#include "server/http.h"
#include "server/jobs.h"
#include "server/keys.h"
#include "server/picture.h"
#include "server/refine_trigger.h"
#include "server/server.h"
#include "server/work.h"

struct ak_server {
    const ak_server_options *options;
    ak_store *store;
    ak_encoders *encoders;
    ak_filler *filler;
    ak_work *work;
    ak_http *http;
    ak_keys *keys;
    ak_jobs *jobs;
    ak_refine_trigger *trigger;
    pthread_mutex_t promoting;   // one promotion at a time
    atomic_ulong pictures_asked; // requests that embed or search, ever
    ak_budget decoded;           // bytes of pictures being decoded
    ak_cursor_key cursor_key;
};

ak_status ak_server_precision(ak_precision *out, const ak_server_options *options, ak_error *err);

static inline ak_image_limits ak_server_picture_limits(const ak_server *server)
{
    return (ak_image_limits){.pixels = (size_t)server->options->picture_pixels,
                             .side = (int)server->options->picture_side};
}

#endif
