// A writing is a worker's, then the store's writer's (written), then a worker's again
// (writing_end), which frees it.
#include "server/write.h"

#include "server/daemon.h"

#include <stdlib.h>

static void writing_end(ak_task *task)
{
    ak_writing *w = (ak_writing *)task;
    if (w->write.status == AK_OK)
        w->then(w);
    else
        ak_request_fail(w->request, &w->write.error);
    ak_writing_free(w);
}

static void written(ak_write *write)
{
    ak_writing *w = write->arg;
    ak_work_finish(w->request->server->work, &w->task);
}

ak_writing *ak_writing_new(ak_request *r, ak_write_kind kind, void (*then)(ak_writing *w))
{
    ak_writing *w = calloc(1, sizeof *w);
    if (!w) {
        ak_error err = {.status = AK_OUT_OF_MEMORY, .text = "no memory for a write"};
        ak_request_fail(r, &err);
        return NULL;
    }
    w->request = r;
    w->then = then;
    w->task.run = writing_end;
    w->write = (ak_write){.kind = kind,
                          .collection = r->params[0],
                          .id = r->params[1],
                          .keep_original = -1,
                          .fields.taken_at = AK_TIME_NONE,
                          .done = written,
                          .arg = w};
    return w;
}

void ak_writing_submit(ak_writing *w)
{
    ak_error err = {0};
    w->write.if_match = w->if_match[0] ? w->if_match : NULL;
    if (ak_store_submit(w->request->server->store, &w->write, &err) == AK_OK)
        return;
    ak_request_fail(w->request, &err);
    ak_writing_free(w);
}

void ak_writing_free(ak_writing *w)
{
    if (w->clear)
        w->clear(w);
    ak_image_record_clear(&w->write.record);
    ak_collection_clear(&w->write.collection_out);
    free(w);
}
