// Thumbnails: the stored proxy, smaller, as JPEG or WebP by Accept. Nothing is cached here; the
// ETag lets clients keep theirs.
#include "server/condition.h"
#include "server/daemon.h"
#include "server/handlers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIZE_LEAST        64
#define SIZE_MOST         256
#define THUMBNAIL_QUALITY 80

// Only a client that names WebP gets it: "*/*" comes from tools that save the file as .jpg.
static bool wants_webp(const char *accept)
{
    static const char type[] = "image/webp";
    const char *at = accept ? strcasestr(accept, type) : NULL;
    if (!at)
        return false;
    at += sizeof type - 1;
    size_t n = strcspn(at, ",");
    const char *q = memmem(at, n, "q=", 2);
    return !q || strtod(q + 2, NULL) > 0;
}

static ak_status make(ak_buf *out, const ak_buf *proxy, int size, bool webp, ak_error *err)
{
    ak_image pixels = {0}, small = {0};
    const ak_image *show = &pixels;
    ak_status status = ak_proxy_read(&pixels, ak_buf_bytes(proxy), err);
    if (status != AK_OK)
        goto done;
    int shorter = pixels.width < pixels.height ? pixels.width : pixels.height;
    if (size < shorter) {
        int width = (int)(((int64_t)pixels.width * size + shorter / 2) / shorter);
        int height = (int)(((int64_t)pixels.height * size + shorter / 2) / shorter);
        status = ak_image_resize(&small, &pixels, width, height, err);
        if (status != AK_OK)
            goto done;
        show = &small;
    }
    if (webp)
        status = ak_image_encode_webp(out, show, THUMBNAIL_QUALITY, err);
    else
        status = ak_image_encode_jpeg(out, show, THUMBNAIL_QUALITY, err);
done:
    ak_image_clear(&small);
    ak_image_clear(&pixels);
    return status;
}

void ak_handle_image_thumbnail(ak_request *r)
{
    ak_error err = {0};
    ak_image_record record = {0};
    ak_buf proxy = {0}, out = {0};
    int64_t size;
    bool webp = wants_webp(r->headers.accept);
    char tag[AK_TAG_TEXT];
    if (ak_request_number(&size, r, "size", SIZE_MOST, SIZE_LEAST, SIZE_MOST, &err) != AK_OK ||
        ak_store_image(&record, r->server->store, r->params[0], r->params[1], &err) != AK_OK)
        goto done;
    ak_hex(tag, record.sha256.at, 16);
    snprintf(tag + 32, sizeof tag - 32, "-%d-%s", (int)size, webp ? "webp" : "jpeg");
    ak_respond_header(r, "Vary", "Accept");
    ak_respond_header(r, "Cache-Control", "private, max-age=60");
    if (ak_condition_unchanged(r, tag) ||
        ak_store_proxy(&proxy, r->server->store, r->params[0], r->params[1], &err) != AK_OK ||
        make(&out, &proxy, (int)size, webp, &err) != AK_OK)
        goto done;
    ak_respond_bytes(r, 200, webp ? "image/webp" : "image/jpeg", &out);
done:
    ak_buf_clear(&out);
    ak_buf_clear(&proxy);
    ak_image_record_clear(&record);
    if (err.status != AK_OK) {
        r->response.header_count = 0; // they were the picture's
        ak_respond_error(r, &err);
    }
    ak_request_finish(r);
}
