// The bare side of `make bench-import` (bench/import.py): what an import must do at the least, with
// the library's own calls, in one process: SHA-256, decode, resize and proxy, the network's input
// on all cores, then the embedding in batches of 64.
//
//   import DIR|TAR           prints {"pictures", "failed", "seconds", "pictures_per_s", ...}
//   import --make DIR N      writes N JPEGs that are as hard to decode as photographs
#include "bench/bench.h"
#include "cli/cli.h"
#include "core/base/archive.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/describe/model.h"

#include <math.h>

#define FILE_LIMIT ((size_t)64 << 20)

// The parts of the work; all but the embedding are summed over the threads.
enum { HASH, PROXY, PREPARE, EMBED, PARTS };

typedef struct {
    const ak_model *model;
    ak_embedder *embedder;
    ak_buf files[AK_EMBED_BATCH];
    uint8_t *inputs;    // (AK_EMBED_BATCH, input bytes)
    float *descriptors; // (AK_EMBED_BATCH, dims)
    size_t pictures, failed, bytes;
    double seconds[PARTS];
} bare;

static bool prepare_one(uint8_t *input, const ak_model *model, ak_bytes file, double s[PARTS])
{
    ak_image pixels = {0};
    ak_buf jpeg = {0};
    ak_error err;
    ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    double start = ak_clock_s();
    ak_sha256 sum = ak_sha256_of(file);
    __asm__ volatile(""
                     :
                     : "r"(&sum)
                     : "memory"); // nobody reads it, and it is computed all the same
    double hashed = ak_clock_s();
    ak_status status = ak_proxy_make(&pixels, &jpeg, file, &limits, &err);
    double reduced = ak_clock_s();
    if (status == AK_OK)
        status = ak_model_prepare(input, model, &pixels, &err);
    s[PREPARE] += ak_clock_s() - reduced;
    s[PROXY] += reduced - hashed;
    s[HASH] += hashed - start;
    ak_image_clear(&pixels);
    ak_buf_clear(&jpeg);
    return status == AK_OK;
}

static void batch(bare *b, size_t n)
{
    ak_error err;
    size_t failed = 0, input = ak_model_input_bytes(b->model);
    double hash = 0, proxy = 0, prepare = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : failed, hash, proxy, prepare)
    for (size_t i = 0; i < n; i++) {
        double s[PARTS] = {0};
        failed += !prepare_one(b->inputs + i * input, b->model, ak_buf_bytes(&b->files[i]), s);
        hash += s[HASH];
        proxy += s[PROXY];
        prepare += s[PREPARE];
    }
    double start = ak_clock_s();
    bench_ok(ak_embedder_run(b->descriptors, b->embedder, b->inputs, n, &err), &err);
    b->seconds[EMBED] += ak_clock_s() - start;
    b->seconds[HASH] += hash;
    b->seconds[PROXY] += proxy;
    b->seconds[PREPARE] += prepare;
    b->pictures += n - failed;
    b->failed += failed;
}

static int measure(const char *path)
{
    bare b = {0};
    ak_error err;
    ak_model *model;
    ak_archive *archive;
    bool more = true;
    size_t n = 0;
    bench_ok(ak_model_read(&model, ak_shipped_model(), &err), &err);
    bench_ok(ak_embedder_new(&b.embedder, model, AK_PRECISION_AUTO, &err), &err);
    b.model = model;
    b.inputs = bench_alloc(AK_EMBED_BATCH, ak_model_input_bytes(model));
    b.descriptors = bench_alloc(AK_EMBED_BATCH * (size_t)ak_model_dims(model), sizeof(float));
    // The networks are made before the clock starts, as a server's are before it is ready.
    bench_ok(ak_embedder_run(b.descriptors, b.embedder, b.inputs, AK_EMBED_BATCH, &err), &err);
    double start = ak_clock_s();
    bench_ok(ak_archive_open(&archive, path, FILE_LIMIT, &err), &err);
    while (more) {
        ak_entry entry;
        bench_ok(ak_archive_next(archive, &entry, &more, &err), &err);
        if (more && entry.status != AK_OK) {
            b.failed++;
        } else if (more) {
            b.files[n].n = 0;
            if (!ak_buf_append(&b.files[n++], entry.bytes.at, entry.bytes.n))
                bench_die("no memory for a file");
            b.bytes += entry.bytes.n;
        }
        if (n == AK_EMBED_BATCH || (!more && n)) {
            batch(&b, n);
            n = 0;
        }
    }
    double seconds = ak_clock_s() - start;
    ak_archive_close(archive);
    json_t *all = json_pack(
        "{s:I, s:I, s:I, s:f, s:f, s:i, s:b, s:{s:f, s:f, s:f, s:f}}", "pictures",
        (json_int_t)b.pictures, "failed", (json_int_t)b.failed, "bytes", (json_int_t)b.bytes,
        "seconds", seconds, "pictures_per_s", (double)b.pictures / seconds, "threads",
        omp_get_max_threads(), "bf16", ak_dnn_has_bf16(), "part_seconds", "sha256", b.seconds[HASH],
        "proxy", b.seconds[PROXY], "prepare", b.seconds[PREPARE], "embed", b.seconds[EMBED]);
    bench_json_end(all);
    for (size_t i = 0; i < AK_EMBED_BATCH; i++)
        ak_buf_clear(&b.files[i]);
    free(b.inputs);
    free(b.descriptors);
    ak_embedder_free(b.embedder);
    ak_model_free(model);
    return 0;
}

// --- pictures ----------------------------------------------------------------------------------

// Soft shapes with edges and a grain: about 60 KB at 640 x 480, like a photograph from a phone's
// messenger.
static void paint(ak_image *image, uint32_t number)
{
    enum { BLOBS = 24 };
    struct {
        float x, y, r, colour[3];
    } blobs[BLOBS];
    ak_random random = ak_random_stream(2024, number, 0, 0);
    for (int i = 0; i < BLOBS; i++) {
        blobs[i].x = (float)ak_random_range(&random, 0, image->width);
        blobs[i].y = (float)ak_random_range(&random, 0, image->height);
        blobs[i].r = (float)ak_random_range(&random, 20, 200);
        for (int c = 0; c < 3; c++)
            blobs[i].colour[c] = (float)ak_random_range(&random, -70, 70);
    }
    uint32_t grain = number + 1;
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            float sum[3] = {120, 120, 120};
            for (int i = 0; i < BLOBS; i++) {
                float dx = ((float)x - blobs[i].x) / blobs[i].r;
                float dy = ((float)y - blobs[i].y) / blobs[i].r;
                float d = dx * dx + dy * dy;
                for (int c = 0; d < 1 && c < 3; c++)
                    sum[c] += blobs[i].colour[c] * (1 - d * d);
            }
            grain = grain * 1664525u + 1013904223u;
            for (int c = 0; c < 3; c++) {
                float v = sum[c] + (float)(grain >> 28) - 8;
                image->rgb[3 * (y * image->width + x) + c] = (uint8_t)(v < 0     ? 0
                                                                       : v > 255 ? 255
                                                                                 : v);
            }
        }
}

static int make(const char *folder, int n)
{
    ak_error err;
    bench_ok(ak_folder_make(folder, &err), &err);
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < n; i++) {
        char path[4096];
        ak_error own;
        ak_image image = {0};
        ak_buf jpeg = {0};
        bool wide = i % 3;
        bench_ok(ak_image_init(&image, wide ? 640 : 480, wide ? 480 : 640, &own), &own);
        paint(&image, (uint32_t)i);
        bench_ok(ak_image_encode_jpeg(&jpeg, &image, 85, &own), &own);
        snprintf(path, sizeof path, "%s/%05d.jpg", folder, i);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(jpeg.at, 1, jpeg.n, file) != jpeg.n || fclose(file) != 0)
            bench_die("cannot write %s", path);
        ak_image_clear(&image);
        ak_buf_clear(&jpeg);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "--make"))
        return make(argv[2], atoi(argv[3]));
    if (argc == 2)
        return measure(argv[1]);
    fputs("usage: import DIR|TAR | --make DIR N  (`make bench-import` runs bench/import.py)\n",
          stderr);
    return 2;
}
