// `make bench-search` (bench/search.py runs this): the latency of a search over HTTP, by id and by
// vector, beside FAISS alone on the same vectors.
//
//   search --fill DIR N                 makes a data folder with N images of random unit vectors
//   search --ask PORT N [--limit K] [--rounds R] [--json]     asks a server that serves that folder
//
// One connection that stays open, one request at a time, a plain socket: what a client library adds
// is not measured. FAISS searches on one thread, as the server's searches do.
#include "bench/bench.h"
#include "cli/cli.h"
#include "core/base/random.h"
#include "core/describe/model.h"
#include "index/faiss.h"
#include "index/store.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define COLLECTION  "bench"
#define ASKED       200 // searches of each kind in a round
#define ANSWER_MAX  (1 << 20)
#define QUESTION    32768
#define HEADER_SIZE 256

static void unit_vector(float *out, int dims, uint32_t number)
{
    ak_random random = ak_random_stream(77, number, 0, 0);
    double squares = 0;
    for (int i = 0; i < dims; i++) {
        out[i] = (float)ak_random_normal(&random);
        squares += (double)out[i] * (double)out[i];
    }
    for (int i = 0; i < dims; i++)
        out[i] = (float)((double)out[i] / sqrt(squares));
}

static ak_model *shipped(void)
{
    ak_error err;
    ak_model *model;
    bench_ok(ak_model_read(&model, ak_shipped_model(), &err), &err);
    return model;
}

// --- filling -----------------------------------------------------------------------------------

typedef struct {
    ak_write write;
    char id[32], bytes[64];
    float *vector;
} image;

static void one_less(ak_write *write)
{
    atomic_fetch_sub((atomic_int *)write->arg, 1);
}

static int fill(const char *folder, uint32_t n)
{
    enum { AT_ONCE = 256 };
    static image images[AT_ONCE];
    ak_error err;
    ak_store *store;
    ak_model *model = shipped();
    int dims = ak_model_dims(model);
    const char *id = ak_model_id(model);
    bench_ok(ak_store_open(&store, folder, NULL, &err), &err);
    bench_ok(ak_store_model_add(
                 store, &(ak_model_facts){.id = id, .dims = dims, .state = AK_MODEL_IMPORTED},
                 ak_shipped_model(), &err),
             &err);
    ak_write put = {.kind = AK_WRITE_COLLECTION_PUT, .collection = COLLECTION, .keep_original = 0};
    bench_ok(ak_store_write(store, &put, &err), &err);
    ak_collection_clear(&put.collection_out);
    for (int i = 0; i < AT_ONCE; i++)
        images[i].vector = bench_alloc((size_t)dims, sizeof(float));
    for (uint32_t done = 0; done < n;) {
        int now = n - done < AT_ONCE ? (int)(n - done) : AT_ONCE;
        atomic_int waiting = now;
        for (int i = 0; i < now; i++) {
            image *it = &images[i];
            uint32_t number = done + (uint32_t)i;
            snprintf(it->id, sizeof it->id, "v%u", number);
            memset(it->bytes, 0, sizeof it->bytes);
            snprintf(it->bytes, sizeof it->bytes, "picture %u", number);
            unit_vector(it->vector, dims, number);
            ak_bytes bytes = {(const uint8_t *)it->bytes, sizeof it->bytes};
            it->write = (ak_write){
                .kind = AK_WRITE_IMAGE_ADD,
                .collection = COLLECTION,
                .id = it->id,
                .fields = {.name = it->id, .set_name = true, .taken_at = AK_TIME_NONE},
                .info = {.format = AK_FORMAT_JPEG, .width = 640, .height = 480, .orientation = 1},
                .sha256 = ak_sha256_of(bytes),
                .original = bytes,
                .proxy = bytes,
                .vectors = {{id, it->vector, dims}},
                .vector_count = 1,
                .done = one_less,
                .arg = &waiting};
            bench_ok(ak_store_submit(store, &it->write, &err), &err);
        }
        while (atomic_load(&waiting))
            usleep(100);
        for (int i = 0; i < now; i++) {
            bench_ok(images[i].write.status, &images[i].write.error);
            ak_image_record_clear(&images[i].write.record);
        }
        done += (uint32_t)now;
    }
    ak_store_close(store);
    for (int i = 0; i < AT_ONCE; i++)
        free(images[i].vector);
    ak_model_free(model);
    return 0;
}

// --- asking ------------------------------------------------------------------------------------

typedef enum { BY_ID, BY_VECTOR, FAISS, KINDS } ask_kind;

static const char *const kind_names[KINDS] = {"over HTTP, by id", "over HTTP, by vector",
                                              "FAISS flat alone"};

typedef struct {
    int socket, dims;
    uint32_t n;
    long limit;
    ak_faiss *faiss;
    float *vector, *scores;
    int64_t *ids;
    char *question, *answer;
} asker;

static int connect_to(int port)
{
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof to) != 0)
        bench_die("cannot connect to port %d", port);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return s;
}

// The request stands in a->question; the whole answer is read and must be a 200.
static double exchange(asker *a, size_t n)
{
    size_t got = 0, whole = 0;
    double start = ak_clock_s();
    if (send(a->socket, a->question, n, MSG_NOSIGNAL) != (ssize_t)n)
        bench_die("the server has closed the connection");
    while (!whole || got < whole) {
        ssize_t more = recv(a->socket, a->answer + got, ANSWER_MAX - 1 - got, 0);
        if (more <= 0)
            bench_die("the server has closed the connection or answers too much");
        got += (size_t)more;
        a->answer[got] = 0;
        char *body = whole ? NULL : strstr(a->answer, "\r\n\r\n");
        if (body) {
            char *length = strcasestr(a->answer, "\r\ncontent-length:");
            if (!length || length > body)
                bench_die("an answer without its length");
            whole = (size_t)(body + 4 - a->answer) + strtoul(length + 17, NULL, 10);
        }
    }
    double seconds = ak_clock_s() - start;
    if (strncmp(a->answer, "HTTP/1.1 200", 12) != 0)
        bench_die("the server answers %.300s", a->answer);
    return seconds;
}

// Puts the header in front of a body that begins at HEADER_SIZE; returns the length of both.
static size_t finish_question(asker *a, size_t body)
{
    char header[HEADER_SIZE];
    int n = snprintf(header, sizeof header,
                     "POST /v1/collections/" COLLECTION "/search HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                     body);
    memcpy(a->question, header, (size_t)n);
    memmove(a->question + n, a->question + HEADER_SIZE, body);
    return (size_t)n + body;
}

static double ask(asker *a, ask_kind kind, uint32_t number)
{
    char *at = a->question + HEADER_SIZE, *end = a->question + QUESTION;
    ak_error err;
    memcpy(a->vector, ak_faiss_vectors(a->faiss) + (size_t)number * (size_t)a->dims,
           (size_t)a->dims * sizeof *a->vector);
    if (kind == FAISS) {
        double start = ak_clock_s();
        bench_ok(ak_faiss_search(a->faiss, a->vector, (size_t)a->limit, a->scores, a->ids, &err),
                 &err);
        return ak_clock_s() - start;
    }
    if (kind == BY_ID) {
        at +=
            snprintf(at, (size_t)(end - at), "{\"id\": \"v%u\", \"limit\": %ld}", number, a->limit);
    } else {
        at += snprintf(at, (size_t)(end - at), "{\"limit\": %ld, \"vector\": [", a->limit);
        for (int i = 0; i < a->dims; i++)
            at += snprintf(at, (size_t)(end - at), "%s%.7g", i ? ", " : "", (double)a->vector[i]);
        at += snprintf(at, (size_t)(end - at), "]}");
    }
    double seconds = exchange(a, finish_question(a, (size_t)(at - a->question - HEADER_SIZE)));
    char first[64]; // a vector finds its own image
    snprintf(first, sizeof first, "\"id\":\"v%u\"", number);
    if (kind == BY_VECTOR && !strstr(a->answer, first))
        bench_die("image v%u is not in the answer to its own vector: %.400s", number, a->answer);
    return seconds;
}

static void asker_new(asker *a, int port, uint32_t n, long limit)
{
    ak_error err;
    ak_model *model = shipped();
    *a = (asker){.dims = ak_model_dims(model), .n = n, .limit = limit};
    ak_model_free(model);
    a->vector = bench_alloc((size_t)a->dims, sizeof *a->vector);
    a->scores = bench_alloc((size_t)limit, sizeof *a->scores);
    a->ids = bench_alloc((size_t)limit, sizeof *a->ids);
    a->question = bench_alloc(QUESTION, 1);
    a->answer = bench_alloc(ANSWER_MAX, 1);
    bench_ok(ak_faiss_new_flat(&a->faiss, a->dims, &err), &err);
    for (uint32_t i = 0; i < n; i++) {
        unit_vector(a->vector, a->dims, i);
        bench_ok(ak_faiss_add(a->faiss, a->vector, 1, &err), &err);
    }
    a->socket = connect_to(port);
}

static void asker_clear(asker *a)
{
    close(a->socket);
    ak_faiss_free(a->faiss);
    free(a->vector);
    free(a->scores);
    free(a->ids);
    free(a->question);
    free(a->answer);
}

// The kinds take turns within a round; a median is the median of the rounds' medians.
static void measure(asker *a, int rounds, bool json)
{
    double median[KINDS][BENCH_ROUNDS_MAX] = {0}, late[KINDS][BENCH_ROUNDS_MAX] = {0};
    double over[KINDS][BENCH_ROUNDS_MAX] = {0};
    for (int r = -1; r < rounds; r++) { // the first is not measured
        for (int k = 0; k < KINDS; k++) {
            double ms[ASKED] = {0};
            ak_random random = ak_random_stream(5, (uint32_t)(r + 1), 0, 0);
            for (int i = 0; i < ASKED; i++)
                ms[i] = 1e3 * ask(a, (ask_kind)k, ak_random_below(&random, a->n));
            if (r >= 0) {
                median[k][r] = bench_quantile(ms, ASKED, 0.5);
                late[k][r] = bench_quantile(ms, ASKED, 0.99);
            }
        }
        for (int k = 0; k < KINDS && r >= 0; k++)
            over[k][r] = median[k][r] - median[FAISS][r];
    }
    json_t *rows = json_array();
    if (!json)
        printf("%u images, %d dimensions, limit %ld; one connection; %d x %d searches of each kind "
               "in turns\n%-28s %10s %10s %10s\n",
               a->n, a->dims, a->limit, rounds, ASKED, "", "median, ms", "p99, ms", "overhead");
    for (int k = 0; k < KINDS; k++) {
        double m = bench_quantile(median[k], rounds, 0.5), p = bench_quantile(late[k], rounds, 0.5);
        double o = bench_quantile(over[k], rounds, 0.5);
        json_array_append_new(rows, json_pack("{s:s, s:f, s:f, s:f}", "name", kind_names[k],
                                              "median_ms", m, "p99_ms", p, "overhead_ms", o));
        if (!json && k != FAISS)
            printf("  %-26s %10.3f %10.3f %+10.3f\n", kind_names[k], m, p, o);
        else if (!json)
            printf("  %-26s %10.3f %10.3f\n", kind_names[k], m, p);
    }
    if (json)
        bench_json_end(json_pack("{s:I, s:i, s:I, s:i, s:O}", "images", (json_int_t)a->n, "dims",
                                 a->dims, "limit", (json_int_t)a->limit, "rounds", rounds,
                                 "searches", rows));
    json_decref(rows);
}

int main(int argc, char **argv)
{
    const struct option table[] = {
        {"fill", required_argument, NULL, 'f'},  {"ask", required_argument, NULL, 'a'},
        {"limit", required_argument, NULL, 'l'}, {"rounds", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},        {0}};
    const char *folder = NULL;
    int port = 0, rounds = BENCH_ROUNDS, got;
    long limit = 20;
    bool json = false;
    while ((got = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (got == '?')
            return 2;
        if (got == 'f')
            folder = optarg;
        if (got == 'a')
            port = atoi(optarg);
        if (got == 'l')
            limit = atol(optarg);
        if (got == 'r')
            rounds = atoi(optarg);
        json |= got == 'j';
    }
    long n = optind < argc ? atol(argv[optind]) : 0;
    if ((!folder && !port) || n < 1 || n > UINT32_MAX || limit < 1 || limit > AK_SEARCH_MAX ||
        rounds < 1 || rounds > BENCH_ROUNDS_MAX) {
        fputs("usage: search --fill DIR N | --ask PORT N [--limit K] [--rounds R] [--json]\n"
              "(`make bench-search` runs bench/search.py)\n",
              stderr);
        return 2;
    }
    if (folder)
        return fill(folder, (uint32_t)n);
    asker a;
    asker_new(&a, port, (uint32_t)n, limit);
    measure(&a, rounds, json);
    asker_clear(&a);
    return 0;
}
