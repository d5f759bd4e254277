// One process: started, heard, ended. All on one thread, which must live as long as the process
// (PR_SET_PDEATHSIG watches the thread, not the daemon).
#include "server/refine_worker.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS    200
#define GRACE_S    1.0   // between SIGTERM and SIGKILL
#define LINE_MAX_N 65536 // bytes of a line; a longer one is passed over
#define WORDS_MAX  400   // of standard error that are kept for the reason

struct ak_worker {
    const ak_worker_options *options;
    pid_t pid;
    int in, out, errors; // its standard input (we write), output and error (we read); -1: closed
    double heard_s;      // when a line came last
    bool paused;
    ak_buf line;
    bool overlong;
    size_t garbage;            // lines that were none
    char words[WORDS_MAX + 1]; // the last of its standard error
    char said[WORDS_MAX + 1];  // why it failed, by its own account
    bool for_good;             // and would again
};

// --- starting ----------------------------------------------------------------------------------

// Between fork and exec nothing but system calls: other threads may have held any lock.
static void become(const ak_worker_options *o, char *const *argv, const int fds[3], pid_t parent)
{
    struct rlimit memory = {o->memory_bytes, o->memory_bytes};
    struct rlimit core = {0, 0};
    struct sched_param idle = {0};
    sigset_t none;
    for (int i = 0; i < 3; i++)
        if (dup2(fds[i], i) < 0)
            _exit(127);
    close_range(3, ~0U, 0); // the lock of the data folder and the daemon's port: at once
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) // it died before the line above
        _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpriority(PRIO_PROCESS, 0, o->nice < 20 ? o->nice : 19);
    if (o->nice == 20)
        sched_setscheduler(0, SCHED_IDLE, &idle);
    setrlimit(RLIMIT_DATA, &memory);
    setrlimit(RLIMIT_CORE, &core);
    int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (oom >= 0 && write(oom, "1000", 4) < 0)
        close(oom); // then the kernel chooses by size alone
    execv(o->program, argv);
    _exit(127);
}

static ak_status start(ak_worker *w, ak_error *err)
{
    const ak_worker_options *o = w->options;
    int in[2] = {-1, -1}, out[2] = {-1, -1}, errors[2] = {-1, -1};
    char *const argv[] = {(char *)"akin", (char *)(uintptr_t)o->command,
                          (char *)(uintptr_t)o->folder, (char *)(uintptr_t)o->option, NULL};
    if (access(o->program, X_OK) != 0)
        return ak_fail_errno(err, errno, "%s cannot be run", o->program);
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(errors, O_CLOEXEC) != 0) {
        ak_fail_errno(err, errno, "no pipes for a worker");
        goto failed;
    }
    const int theirs[3] = {in[0], out[1], errors[1]};
    pid_t self = getpid();
    w->pid = fork();
    if (w->pid == 0)
        become(o, argv, theirs, self);
    if (w->pid < 0) {
        ak_fail_errno(err, errno, "no process for a worker");
        goto failed;
    }
    setpgid(w->pid, w->pid); // whoever comes first
    close(in[0]);
    close(out[1]);
    close(errors[1]);
    w->in = in[1];
    w->out = out[0];
    w->errors = errors[0];
    fcntl(w->in, F_SETFL, O_NONBLOCK);
    fcntl(w->out, F_SETFL, O_NONBLOCK);
    fcntl(w->errors, F_SETFL, O_NONBLOCK);
    w->heard_s = ak_clock_s();
    return AK_OK;
failed:
    for (int i = 0; i < 2; i++) {
        if (in[i] >= 0)
            close(in[i]);
        if (out[i] >= 0)
            close(out[i]);
        if (errors[i] >= 0)
            close(errors[i]);
    }
    return err->status;
}

// --- talking -----------------------------------------------------------------------------------

void ak_worker_say(ak_worker *w, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text - 1, format, args);
    va_end(args);
    if (n < 0 || n > (int)sizeof text - 2 || w->in < 0)
        return;
    text[n] = '\n';
    if (strstr(text, "\"pause\"")) { // it need not say anything meanwhile
        w->paused = strstr(text, "true") != NULL;
        w->heard_s = ak_clock_s();
    }
    if (write(w->in, text, (size_t)n + 1) < 0 && errno != EAGAIN) {
        close(w->in);
        w->in = -1;
    }
}

// What may go better another time.
static bool passing(const char *code)
{
    static const ak_status statuses[] = {AK_OUT_OF_MEMORY, AK_IO, AK_DISK_FULL, AK_READ_ONLY,
                                         AK_INTERNAL};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (strcmp(code, ak_status_code(statuses[i])) == 0)
            return true;
    return false;
}

static void hear_line(ak_worker *w, const char *at, size_t n)
{
    const char *phase, *code, *detail;
    json_t *object = json_loadb(at, n, 0, NULL);
    w->heard_s = ak_clock_s();
    if (!json_is_object(object)) {
        if (w->garbage++ == 0)
            ak_log(AK_LOG_DEBUG, "`akin %s` wrote a line that is no JSON object: passed over",
                   w->options->command);
    } else if (json_unpack(object, "{s:s, s:s, s:s}", "phase", &phase, "code", &code, "detail",
                           &detail) == 0 &&
               strcmp(phase, "failed") == 0) {
        snprintf(w->said, sizeof w->said, "%s", detail);
        w->for_good = !passing(code);
    } else {
        w->options->line(w->options->arg, object);
    }
    json_decref(object);
}

static void hear(ak_worker *w, const char *at, size_t n)
{
    while (n) {
        const char *end = memchr(at, '\n', n);
        size_t part = end ? (size_t)(end - at) : n;
        if (w->line.n + part > LINE_MAX_N || !ak_buf_append(&w->line, at, part))
            w->overlong = true;
        if (w->overlong)
            w->line.n = 0;
        if (end && !w->overlong)
            hear_line(w, (const char *)w->line.at, w->line.n);
        if (end) {
            w->line.n = 0;
            w->overlong = false;
            part++;
        }
        at += part;
        n -= part;
    }
}

// Keeps the end of what it says on standard error.
static void hear_words(ak_worker *w, const char *at, size_t n)
{
    size_t had = strlen(w->words);
    w->heard_s = ak_clock_s();
    if (n > WORDS_MAX) {
        at += n - WORDS_MAX;
        n = WORDS_MAX;
    }
    size_t keep = had < WORDS_MAX - n ? had : WORDS_MAX - n;
    memmove(w->words, w->words + had - keep, keep);
    memcpy(w->words + keep, at, n);
    w->words[keep + n] = 0;
}

// One read of what is there; false at the end of the pipe.
static bool drain(ak_worker *w, int fd, void (*to)(ak_worker *w, const char *at, size_t n))
{
    char block[16384];
    ssize_t n = read(fd, block, sizeof block);
    if (n > 0)
        to(w, block, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

// Waits for output, at most a tick.
static void listen(ak_worker *w)
{
    struct pollfd fds[2] = {{w->out, POLLIN, 0}, {w->errors, POLLIN, 0}};
    if (poll(fds, 2, TICK_MS) <= 0)
        return;
    if (fds[0].revents && !drain(w, w->out, hear)) {
        close(w->out);
        w->out = -1; // poll passes over it
    }
    if (fds[1].revents && !drain(w, w->errors, hear_words)) {
        close(w->errors);
        w->errors = -1;
    }
}

// --- ending ------------------------------------------------------------------------------------

// Ends the whole group and takes the status.
static int end(ak_worker *w)
{
    int status = 0;
    double until = ak_clock_s() + GRACE_S;
    kill(-w->pid, SIGTERM);
    while (waitpid(w->pid, &status, WNOHANG) == 0) {
        if (ak_clock_s() >= until) {
            kill(-w->pid, SIGKILL);
            waitpid(w->pid, &status, 0);
            break;
        }
        poll(NULL, 0, 10);
    }
    kill(-w->pid, SIGKILL); // what it may have started
    return status;
}

// The last line of what it said on standard error, for the reason.
static const char *last_words(ak_worker *w)
{
    for (size_t n = strlen(w->words); n && w->words[n - 1] == '\n'; n--)
        w->words[n - 1] = 0;
    const char *line = strrchr(w->words, '\n');
    return line ? line + 1 : w->words;
}

static ak_worker_end judge(ak_worker *w, int status, ak_error *err)
{
    const char *what = w->options->command, *words = last_words(w);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return AK_WORKER_DONE;
    if (WIFEXITED(status) && w->for_good) {
        ak_fail(err, AK_CONFLICT, "%s", w->said);
        return AK_WORKER_FAILED;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        ak_fail(err, AK_INTERNAL,
                "`akin %s` was killed; most likely the machine ran out of memory (a smaller batch, "
                "or more memory, helps)",
                what);
    else if (WIFSIGNALED(status))
        ak_fail(err, AK_INTERNAL, "`akin %s` crashed: %s", what, strsignal(WTERMSIG(status)));
    else
        ak_fail(err, AK_INTERNAL, "`akin %s` ended with status %d%s%s", what, WEXITSTATUS(status),
                *words || w->said[0] ? ": " : "", w->said[0] ? w->said : words);
    return AK_WORKER_CRASHED;
}

// Until it ends, is stopped, or hangs.
static ak_worker_end attend(ak_worker *w, ak_error *err)
{
    const ak_worker_options *o = w->options;
    double ticked_s = 0;
    int status;
    for (;;) {
        listen(w);
        if (waitpid(w->pid, &status, WNOHANG) > 0) {
            while (w->out >= 0 && poll(&(struct pollfd){w->out, POLLIN, 0}, 1, 0) > 0 &&
                   drain(w, w->out, hear))
                ;
            while (w->errors >= 0 && poll(&(struct pollfd){w->errors, POLLIN, 0}, 1, 0) > 0 &&
                   drain(w, w->errors, hear_words))
                ;
            kill(-w->pid, SIGKILL);
            return judge(w, status, err);
        }
        double now = ak_clock_s();
        if (atomic_load(o->stop)) {
            end(w);
            return AK_WORKER_STOPPED;
        }
        if (!w->paused && now - w->heard_s > o->silence_s) {
            end(w);
            ak_fail(err, AK_INTERNAL, "`akin %s` said nothing for %.0f s and was ended", o->command,
                    now - w->heard_s);
            return AK_WORKER_CRASHED;
        }
        if (now - ticked_s >= TICK_MS / 1000.0) {
            ticked_s = now;
            if (o->tick(o->arg, w)) {
                end(w);
                return AK_WORKER_AGAIN;
            }
        }
        if (w->out < 0 && w->errors < 0)
            poll(NULL, 0, 10); // it closed both and has not ended yet
    }
}

ak_worker_end ak_worker_run(const ak_worker_options *options, ak_error *err)
{
    ak_worker w = {.options = options, .in = -1, .out = -1, .errors = -1};
    ak_worker_end how = AK_WORKER_FAILED;
    if (start(&w, err) == AK_OK)
        how = attend(&w, err);
    if (w.in >= 0)
        close(w.in);
    if (w.out >= 0)
        close(w.out);
    if (w.errors >= 0)
        close(w.errors);
    ak_buf_clear(&w.line);
    return how;
}
