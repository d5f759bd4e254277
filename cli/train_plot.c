// The curves of a training log as small multiples over the views seen, in one SVG.
#include "cli/train.h"

#include "core/base/file.h"
#include "core/base/mem.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOG_LIMIT ((size_t)256 << 20)
#define COLUMNS   2
#define PANEL_W   360.0
#define PANEL_H   170.0
#define MARGIN    46.0
#define POINTS    400 // of a curve at most; more are thinned

// A panel shows some members of the log's lines. "terms" are the objectives' values.
typedef struct {
    const char *title, *members[4];
    double scale;
} panel;

static const panel panels[] = {
    {"loss", {"loss"}, 1},
    {"objectives", {"terms"}, 1},
    {"kNN on the hold-out, %", {"knn"}, 100},
    {"similarity of pairs: same picture, others", {"positive", "negative"}, 1},
    {"alignment; uniformity", {"alignment", "uniformity"}, 1},
    {"effective rank", {"rank"}, 1},
    {"deviation of dimensions: mean, least", {"deviation", "least"}, 1},
    {"views a second", {"views_per_s"}, 1},
};
#define PANELS (sizeof panels / sizeof *panels)

static const char *const colours[] = {"#1764ab", "#c4461a", "#2b8a3e", "#7b3fa0"};

static void put(ak_buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(ak_buf *out, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ak_buf_append(out, text, (size_t)n);
}

static double value_of(const json_t *line, const panel *p, const char *member, size_t term)
{
    const json_t *v = json_object_get(line, member);
    if (json_is_object(v)) {
        void *at = json_object_iter((json_t *)v);
        for (; at && term > 0; term--)
            at = json_object_iter_next((json_t *)v, at);
        v = at ? json_object_iter_value(at) : NULL;
    }
    return json_is_number(v) ? p->scale * json_number_value(v) : NAN;
}

// How many curves a panel has, with their names.
static size_t curves_of(const char *names[AK_TERMS_MAX], const panel *p, const json_t *line)
{
    size_t n = 0;
    const json_t *terms = json_object_get(line, p->members[0]);
    if (json_is_object(terms)) {
        for (void *at = json_object_iter((json_t *)terms); at && n < AK_TERMS_MAX;
             at = json_object_iter_next((json_t *)terms, at))
            names[n++] = json_object_iter_key(at);
        return n;
    }
    while (n < 4 && p->members[n]) {
        names[n] = p->members[n];
        n++;
    }
    return n;
}

typedef struct {
    double x0, y0, left, right, low, high; // place of the panel; ranges of its values
} frame;

static double across(const frame *f, double x)
{
    return f->x0 + PANEL_W * (x - f->left) / (f->right - f->left);
}

static double down(const frame *f, double y)
{
    return f->y0 + PANEL_H * (f->high - y) / (f->high - f->low);
}

static void draw_frame(ak_buf *out, const frame *f, const char *title)
{
    put(out, "<rect x='%.1f' y='%.1f' width='%.0f' height='%.0f' fill='none' stroke='#bbb'/>\n",
        f->x0, f->y0, PANEL_W, PANEL_H);
    put(out, "<text x='%.1f' y='%.1f' font-weight='bold'>%s</text>\n", f->x0, f->y0 - 6, title);
    for (int i = 0; i <= 2; i++) {
        double y = f->low + (f->high - f->low) * i / 2, x = f->left + (f->right - f->left) * i / 2;
        put(out, "<text x='%.1f' y='%.1f' text-anchor='end' fill='#666'>%.4g</text>\n", f->x0 - 4,
            down(f, y) + 4, y);
        put(out, "<text x='%.1f' y='%.1f' text-anchor='middle' fill='#666'>%.3gk</text>\n",
            across(f, x), f->y0 + PANEL_H + 14, x / 1000);
    }
}

static void draw_panel(ak_buf *out, const panel *p, json_t *lines, double x0, double y0)
{
    const char *names[AK_TERMS_MAX];
    size_t n = json_array_size(lines), step = n / POINTS + 1;
    size_t curves = curves_of(names, p, json_array_get(lines, n - 1));
    frame f = {x0, y0, INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t i = 0; i < n; i++) {
        const json_t *line = json_array_get(lines, i);
        double x = json_number_value(json_object_get(line, "views"));
        f.left = fmin(f.left, x);
        f.right = fmax(f.right, x);
        for (size_t c = 0; c < curves; c++) {
            const char *member = p->members[c] ? p->members[c] : p->members[0];
            double y = value_of(line, p, member, c);
            f.low = fmin(f.low, y);
            f.high = fmax(f.high, y);
        }
    }
    if (!(f.high >= f.low)) {
        put(out, "<text x='%.1f' y='%.1f' fill='#999'>%s: not measured</text>\n", x0, y0 - 6,
            p->title);
        return;
    }
    if (f.high == f.low)
        f.high = f.low + (f.low != 0 ? fabs(f.low) * 0.1 : 1);
    if (f.right == f.left)
        f.right = f.left + 1;
    draw_frame(out, &f, p->title);
    for (size_t c = 0; c < curves; c++) {
        const char *member = p->members[c] ? p->members[c] : p->members[0];
        put(out, "<polyline fill='none' stroke='%s' stroke-width='1.5' points='", colours[c]);
        for (size_t i = 0; i < n; i += i + step < n || i == n - 1 ? step : n - 1 - i) {
            const json_t *line = json_array_get(lines, i);
            double y = value_of(line, p, member, c);
            if (isfinite(y))
                put(out, "%.1f,%.1f ",
                    across(&f, json_number_value(json_object_get(line, "views"))), down(&f, y));
        }
        put(out, "'/>\n");
        if (curves > 1)
            put(out, "<text x='%.1f' y='%.1f' text-anchor='end' fill='%s'>%s</text>\n",
                x0 + PANEL_W - 6, y0 + 14 + 13 * (double)c, colours[c], names[c]);
    }
}

static ak_status read_lines(json_t **out, const char *log, ak_error *err)
{
    ak_buf text = {0};
    ak_status status = ak_file_read(&text, log, LOG_LIMIT, err);
    *out = json_array();
    size_t at = 0;
    // A line that a crash cut short is passed over.
    while (status == AK_OK && at < text.n) {
        const uint8_t *end = memchr(text.at + at, '\n', text.n - at);
        size_t n = end ? (size_t)(end - text.at) - at : text.n - at;
        json_t *line = json_loadb((const char *)text.at + at, n, 0, NULL);
        if (json_is_object(line) && json_is_number(json_object_get(line, "views")))
            json_array_append(*out, line);
        json_decref(line);
        at += n + 1;
    }
    ak_buf_clear(&text);
    if (status == AK_OK && json_array_size(*out) == 0)
        status = ak_fail(err, AK_BAD_VALUE, "%s has no line of a training run", log);
    return status;
}

ak_status ak_train_plot(const char *path, const char *log, ak_error *err)
{
    json_t *lines = NULL;
    ak_buf out = {0};
    ak_status status = read_lines(&lines, log, err);
    if (status == AK_OK) {
        size_t down_n = (PANELS + COLUMNS - 1) / COLUMNS;
        double w = COLUMNS * (PANEL_W + MARGIN) + 16, step = PANEL_H + MARGIN;
        put(&out,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%.0f' height='%.0f' "
            "font-family='sans-serif' font-size='11'>\n<rect width='100%%' height='100%%' "
            "fill='white'/>\n",
            w, (double)down_n * step + 16);
        for (size_t i = 0; i < PANELS; i++)
            draw_panel(&out, &panels[i], lines, MARGIN + (double)(i % COLUMNS) * (PANEL_W + MARGIN),
                       24 + (double)(i / COLUMNS) * step);
        put(&out, "</svg>\n");
        status = ak_file_replace(path, ak_buf_bytes(&out), err);
    }
    ak_buf_clear(&out);
    json_decref(lines);
    return status;
}
