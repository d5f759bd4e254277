// The daemon's door: options in, a running server out.
//
// Threads it starts: network threads (http.c), workers (work.c), a batcher for each loaded
// model (batcher.c), the filler (filler.c) and the store's writer. All functions here belong to the
// thread that starts and stops the server.
#ifndef AK_SERVER_SERVER_H
#define AK_SERVER_SERVER_H

#include "core/base/error.h"
#include "core/base/mem.h"

#include <stdio.h>

// Every bound and switch of the server. N: numbers, T: texts.
// N(name, default, least, most, unit, help)  T(name, default, help)
#define AK_MIB ((uint64_t)1 << 20)
#define AK_SETTINGS(N, T)                                                                          \
    N(upload_part_bytes, 64 * AK_MIB, 1, 1024 * AK_MIB, "bytes", "one picture of an upload")       \
    N(upload_bytes, 256 * AK_MIB, 1, 2048 * AK_MIB, "bytes", "body of an upload")                  \
    N(upload_parts, 100, 1, 1000, "parts", "pictures in one multipart upload")                     \
    N(checkpoint_bytes, 64 * AK_MIB, 1, 256 * AK_MIB, "bytes", "a model that is imported")         \
    N(json_bytes, AK_MIB, 1, 64 * AK_MIB, "bytes", "JSON body")                                    \
    N(json_depth, 32, 1, 512, "levels", "nesting of a JSON body")                                  \
    N(picture_pixels, 100000000, 1, 1000000000, "pixels", "width x height of a picture")           \
    N(picture_side, 32768, 1, 65535, "pixels", "longer side of a picture")                         \
    N(header_bytes, 16384, 256, AK_MIB, "bytes", "header block of a request")                      \
    N(request_line_bytes, 8192, 64, AK_MIB, "bytes", "path and query of a request")                \
    N(connections, 1024, 2, 65536, "connections", "open connections")                              \
    N(connections_per_address, 128, 1, 65536, "connections", "open connections of one address")    \
    N(idle_s, 30, 1, 86400, "s", "silence after which a connection is closed")                     \
    N(body_rate, 1024, 0, AK_MIB, "bytes/s", "slowest body, on the average after body_grace_s")    \
    N(body_grace_s, 10, 0, 3600, "s", "time before body_rate is asked for")                        \
    N(work_queue, 256, 1, 65536, "requests", "requests that wait or are worked on")                \
    N(body_bytes_in_flight, 512 * AK_MIB, 1, 1024 * 1024 * AK_MIB, "bytes",                        \
      "bodies held, all together")                                                                 \
    N(decoded_bytes, 1024 * AK_MIB, AK_MIB, 1024 * 1024 * AK_MIB, "bytes",                         \
      "pictures being decoded")                                                                    \
    N(ingest_pictures, 512, 1, 65536, "pictures", "pictures between decoding and their commit")    \
    N(workers, 0, 0, 1024, "threads", "worker threads; 0: one a core")                             \
    N(network_threads, 2, 1, 64, "threads", "threads that read and write sockets")                 \
    N(embed_threads, 0, 0, 1024, "threads", "threads of the network's batches; 0: one a core")     \
    N(loaded_models, 4, 3, 64, "models", "models in memory: base, those that serve, one to come")  \
    N(spare_models, 16, 0, 10000, "models", "models kept on disk that no collection needs")        \
    N(batch_wait_us, 8000, 0, 1000000, "us", "how long a batch waits for pictures on their way")   \
    N(disk_floor, 64 * AK_MIB, 0, UINT64_MAX, "bytes", "free disk under which writes are refused") \
    N(stop_s, 30, 1, 3600, "s", "how long stopping waits for requests in flight")                  \
    N(jobs_open, 64, 1, 1000, "jobs", "jobs that wait or run")                                     \
    N(jobs_kept, 1000, 1, 1000000, "jobs", "jobs that are remembered after their end")             \
    N(event_listeners, 64, 1, 65536, "clients", "clients that listen to events")                   \
    N(heartbeat_s, 15, 1, 3600, "s", "silence after which a stream of events is heard of")         \
    N(refine_enabled, 1, 0, 1, "0 or 1", "whether there is refinement at all")                     \
    N(refine_auto, 0, 0, 1, "0 or 1", "whether runs begin by themselves, too")                     \
    N(refine_budget_s, 600, 1, 604800, "s", "training of a run that names no budget")              \
    N(refine_memory, 4096 * AK_MIB, 64 * AK_MIB, 1024 * 1024 * AK_MIB, "bytes",                    \
      "memory of a run's process")                                                                 \
    N(refine_threads, 0, 0, 1024, "threads", "threads of a run; 0: one a core")                    \
    N(refine_busy_threads, 1, 0, 1024, "threads", "the same while requests come in; 0: it pauses") \
    N(refine_nice, 20, 0, 20, "niceness", "of a run's process; 20: it has what no other wants")    \
    N(refine_silence_s, 300, 1, 86400, "s", "silence after which a run's process is held to hang") \
    N(refine_restarts, 5, 0, 100, "times", "how often a run's process may crash")                  \
    N(refine_check_s, 60, 1, 86400, "s", "between two looks at whether a run is due")              \
    N(refine_pictures, 1000, 1, 1000000000, "pictures", "new ones that make a run due")            \
    N(refine_drift, 200, 1, 2000, "thousandths", "shift of the new vectors' mean that does")       \
    N(refine_back_off_s, 3600, 0, 604800, "s",                                                     \
      "no run by itself after a refusal; 4 times that after two in a row, then 24 times")          \
    N(refine_every_h, 0, 0, 87600, "hours", "since the last run, which do; 0: never")              \
    N(refine_load, 150, 1, 100000, "per cent", "load of a core above which none begins")           \
    T(refine_window, "", "hours of the day (UTC) in which runs begin, like 22:00-06:00")           \
    T(refine_promote, "auto", "what becomes of a better model: auto or ask")                       \
    T(refine_program, "/proc/self/exe", "what runs `refine` and `gate`; for tests")                \
    T(allowed_hosts, "", "host names besides loopback's, by commas, each with or without a port")  \
    T(precision, "auto", "how the network computes: auto, f32 or bf16")

#define AK_SETTING_TEXT 512 // bytes of a text setting, with its zero

typedef struct {
    const char *data;           // the data folder
    const char *listen;         // address:port; port 0: any free one
    const char *model_path;     // the shipped model; NULL: model_bytes, or what the folder holds
    ak_bytes model_bytes;       // the shipped model in memory, borrowed until start returns
    const char *admin_key_file; // NULL: made in the data folder when a key is needed
#define N(name, standard, least, most, unit, help) uint64_t name;
#define T(name, standard, help)                    char name[AK_SETTING_TEXT];
    AK_SETTINGS(N, T)
#undef N
#undef T
} ak_server_options;

typedef struct ak_server ak_server;

ak_server_options ak_server_defaults(void); // data "akin-data", listen "127.0.0.1:8470"

// `--set name=value`: AK_BAD_VALUE names the setting, the value and what is allowed.
ak_status ak_server_set(ak_server_options *options, const char *name, const char *value,
                        ak_error *err);

void ak_server_print_settings(FILE *out); // one line a setting: name, default, unit, help
void ak_server_print_routes(FILE *out);   // one line a route: method, path

// Opens the data folder, listens and returns; the model warms up behind it. options and its texts
// are borrowed until ak_server_stop.
ak_status ak_server_start(ak_server **out, const ak_server_options *options, ak_error *err);
int ak_server_port(const ak_server *server);
void ak_server_stop(ak_server *server); // finishes what is in flight, closes, frees; NULL is fine

// Serves until SIGTERM or SIGINT. A second signal ends the process at once.
ak_status ak_server_run(const ak_server_options *options, ak_error *err);

#endif
