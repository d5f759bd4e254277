// PyTorch as the other side of a comparison: a child process (tools/torch_rn10.py) that takes one
// job a line, as JSON, does it and answers with one number. Between jobs it sleeps on its input.
#ifndef AK_BENCH_TORCH_H
#define AK_BENCH_TORCH_H

#include "bench/bench.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    FILE *to, *from;
    pid_t pid;
} bench_torch;

__attribute__((format(printf, 2, 3))) static inline double bench_torch_do(bench_torch *t,
                                                                          const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vfprintf(t->to, format, args);
    va_end(args);
    if (fputc('\n', t->to) == EOF || fflush(t->to) != 0 || !fgets(line, sizeof line, t->from))
        bench_die("PyTorch's process has ended");
    char *end;
    double value = strtod(line, &end);
    if (end == line)
        bench_die("PyTorch: %s", line);
    return value;
}

// The network of the jobs that follow.
static inline void bench_torch_net(bench_torch *t, const ak_resnet *net)
{
    if (net->width != 1.0f || net->attention)
        bench_die("PyTorch's side knows networks of width 1 without attention alone");
    bench_torch_do(t,
                   "{\"do\": \"net\", \"blocks\": [%d, %d, %d, %d], \"last_stride\": %d, "
                   "\"pool_stages\": %d}",
                   net->blocks[0], net->blocks[1], net->blocks[2], net->blocks[3], net->last_stride,
                   net->pool_stages);
}

static inline void bench_torch_start(bench_torch *t, const ak_resnet *net)
{
    int in[2], out[2];
    char threads[16], line[128];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        bench_die("no pipe for PyTorch's process");
    snprintf(threads, sizeof threads, "%d", omp_get_max_threads());
    t->pid = fork();
    if (t->pid < 0)
        bench_die("no process for PyTorch");
    if (t->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        unsetenv("OMP_WAIT_POLICY"); // its own choice
        execl("/usr/bin/python3", "python3", "tools/torch_rn10.py", threads, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    t->to = fdopen(in[1], "w");
    t->from = fdopen(out[0], "r");
    if (!t->to || !t->from || !fgets(line, sizeof line, t->from))
        bench_die("tools/torch_rn10.py does not start: it needs Debian's python3-torch and the "
                  "project's root as the folder");
    line[strcspn(line, "\n")] = 0;
    fprintf(stderr, "beside PyTorch %s\n", line);
    bench_torch_net(t, net);
}

static inline void bench_torch_end(bench_torch *t)
{
    fclose(t->to);
    fclose(t->from);
    waitpid(t->pid, NULL, 0);
}

#endif
