// `make bench-views`: views a second that the loader alone makes, by side, recipe and threads; then
// what each augmentation costs. The rates of one thread are by its processor time, so that other
// work on the machine does not count.
#include "bench/bench.h"

#include "core/base/random.h"
#include "core/views/loader.h"
#include "core/views/views.h"

#include <time.h>

enum { PICTURES = 512, BATCH = 128 };

typedef struct {
    const ak_pictures *set;
    ak_view_recipe recipe;
    int side, views;
    uint8_t *out;
    float *work;
} single;

static double thread_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double make_views(void *arg)
{
    const single *s = arg;
    double start = thread_s();
    for (int i = 0; i < s->views; i++) {
        uint32_t p = (uint32_t)i % PICTURES;
        ak_view_make(s->out, s->side, &s->set->items[p].image, &s->recipe,
                     ak_random_stream(1, (uint32_t)i, p, 1), s->work);
    }
    return thread_s() - start;
}

typedef struct {
    ak_loader *loader;
    int batches;
} loading;

static double load(void *arg)
{
    const loading *l = arg;
    for (int i = 0; i < AK_LOADER_AHEAD; i++) // made while others were measured
        ak_loader_next(l->loader);
    double start = ak_clock_s();
    for (int i = 0; i < l->batches; i++)
        ak_loader_next(l->loader);
    return ak_clock_s() - start;
}

// 171 x 128 as most photographs are kept, smooth in parts as photographs are.
static void make_pictures(ak_pictures *set)
{
    *set = (ak_pictures){.items = bench_alloc(PICTURES, sizeof *set->items), .n = PICTURES};
    for (size_t i = 0; i < PICTURES; i++) {
        ak_error err;
        ak_image *image = &set->items[i].image;
        bench_ok(ak_image_init(image, i % 2 ? 171 : 128, i % 2 ? 128 : 171, &err), &err);
        ak_random r = ak_random_stream(1, (uint32_t)i, 0, 0);
        for (int y = 0; y < image->height; y++)
            for (int x = 0; x < image->width; x++)
                for (int c = 0; c < 3; c++)
                    image->rgb[3 * (y * image->width + x) + c] =
                        (uint8_t)(((x / 9) ^ (y / 7)) * 9 * (c + 1) + (int)ak_random_below(&r, 8));
    }
}

static ak_view_recipe all_on(void)
{
    ak_view_recipe r = AK_VIEW_RECIPE_DEFAULT;
    r.shrink = r.mirror = r.jitter = r.blur = r.solarise = r.jpeg = r.erase = r.erase_noise = 1;
    return r;
}

static void singles(json_t *all, const bench_options *o, const ak_pictures *set)
{
    enum { CASES = 10 };
    ak_view_recipe standard = AK_VIEW_RECIPE_DEFAULT, shrink = standard, blur = standard,
                   solarise = standard, jpeg = standard, erase = standard, spoilt = all_on(),
                   usual = standard;
    shrink.shrink = blur.blur = solarise.solarise = jpeg.jpeg = erase.erase = 1;
    usual.shrink = usual.jpeg = usual.erase = 0.25f;
    usual.blur = 0.5f;
    usual.solarise = 0.1f;
    single s = {set,
                standard,
                64,
                o->quick ? 200 : 4000,
                bench_alloc(3 * 96 * 96, 1),
                bench_alloc(ak_view_work(171, 171, 96), sizeof(float))};
    single at[CASES];
    for (int i = 0; i < CASES; i++)
        at[i] = s;
    at[1].recipe = shrink;
    at[2].recipe = blur;
    at[3].recipe = solarise;
    at[4].recipe = jpeg;
    at[5].recipe = erase;
    at[6].recipe = usual;
    at[7].recipe = spoilt;
    at[8].side = at[9].side = 96;
    at[9].recipe = spoilt;
    bench_case cases[CASES] = {
        {.name = "64 px, the default recipe"},   {.name = "64 px, and always shrunk"},
        {.name = "64 px, and always blurred"},   {.name = "64 px, and always solarised"},
        {.name = "64 px, and always a JPEG"},    {.name = "64 px, and always erased in part"},
        {.name = "64 px, all on, now and then"}, {.name = "64 px, all on, always"},
        {.name = "96 px, the default recipe"},   {.name = "96 px, all on, always"}};
    for (int i = 0; i < CASES; i++) {
        cases[i].go = make_views;
        cases[i].arg = &at[i];
        cases[i].work = at[i].views;
        cases[i].beside = i == 0 ? -1 : i == CASES - 1 ? i - 1 : 0;
    }
    cases[8].beside = 0;
    bench_measure(cases, CASES, o->rounds);
    bench_show(all, "one thread, by its processor time", "views/s", cases, CASES, o->rounds);
    free(s.out);
    free(s.work);
}

static void loaders(json_t *all, const bench_options *o, const ak_pictures *set)
{
    enum { CASES = 8 };
    static const char *const names[CASES] = {
        "64 px, one thread",          "64 px, two threads",        "64 px, all on, one thread",
        "64 px, all on, two threads", "96 px, one thread",         "96 px, two threads",
        "96 px, all on, one thread",  "96 px, all on, two threads"};
    loading at[CASES];
    bench_case cases[CASES];
    ak_error err;
    for (int i = 0; i < CASES; i++) {
        ak_loader_options options = {.pictures = set,
                                     .plan = AK_VIEW_PLAN_DEFAULT,
                                     .side = i < 4 ? 64 : 96,
                                     .batch = BATCH,
                                     .seed = 1,
                                     .threads = 1 + i % 2};
        if (i / 2 % 2)
            options.plan.first = options.plan.second = all_on();
        at[i].batches = o->quick ? 2 : 20;
        bench_ok(ak_loader_new(&at[i].loader, &options, &err), &err);
        cases[i] = (bench_case){.name = names[i],
                                .go = load,
                                .arg = &at[i],
                                .work = 2 * BATCH * at[i].batches,
                                .beside = i % 2 ? i - 1 : -1};
    }
    bench_measure(cases, CASES, o->rounds);
    bench_show(all, "the loader, by the clock", "views/s", cases, CASES, o->rounds);
    for (int i = 0; i < CASES; i++)
        ak_loader_free(at[i].loader);
}

int main(int argc, char **argv)
{
    bench_options o = bench_begin(argc, argv);
    json_t *all = bench_json_new(&o);
    ak_pictures set;
    make_pictures(&set);
    singles(all, &o, &set);
    loaders(all, &o, &set);
    ak_pictures_clear(&set);
    bench_json_end(all);
    return 0;
}
