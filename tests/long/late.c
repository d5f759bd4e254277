// Delays by chance, for tests (tests/long/test_late.sh): preloaded, it makes akin and the tests of
// the live server late around the calls by which threads and processes hear of each other.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Half of the processes are never late: what is quick meets what is slow.
static bool concerned(void)
{
    static atomic_int known; // 1 no, 2 yes
    if (!atomic_load(&known)) {
        unsigned char chance = 0;
        if (getrandom(&chance, 1, 0) < 0)
            abort();
        bool named = !strcmp(program_invocation_short_name, "akin") ||
                     !strncmp(program_invocation_short_name, "python", 6);
        atomic_store(&known, 1 + (named && chance % 2));
    }
    return atomic_load(&known) == 2;
}

// In so many of 1,000 cases: up to most_ms, mostly much less.
static void late(unsigned share, unsigned most_ms)
{
    static _Thread_local unsigned short seed[3];
    int kept = errno;
    if (concerned()) {
        if (!seed[0] && getrandom(seed, sizeof seed, 0) < 0)
            abort();
        if (nrand48(seed) % 1000 < share) {
            double chance = erand48(seed), seconds = chance * chance * most_ms / 1000;
            nanosleep(&(struct timespec){.tv_sec = (time_t)seconds,
                                         .tv_nsec = (long)((seconds - (long)seconds) * 1e9)},
                      NULL);
        }
    }
    errno = kept;
}

#define LATE(type, name, takes, gives, share, most_ms)                                             \
    type name takes                                                                                \
    {                                                                                              \
        static type(*next) takes;                                                                  \
        if (!next)                                                                                 \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                             \
        late(share, most_ms);                                                                      \
        type result = next gives;                                                                  \
        late(share, most_ms);                                                                      \
        return result;                                                                             \
    }

LATE(pid_t, fork, (void), (), 700, 300)
LATE(int, kill, (pid_t pid, int number), (pid, number), 300, 100)
LATE(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options), 200, 100)

LATE(int, connect, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n), 150, 2000)
LATE(int, accept4, (int fd, struct sockaddr *from, socklen_t *n, int flags), (fd, from, n, flags),
     200, 100)
LATE(int, epoll_wait, (int fd, struct epoll_event *events, int n, int wait_ms),
     (fd, events, n, wait_ms), 100, 500)
LATE(int, poll, (struct pollfd * fds, nfds_t n, int wait_ms), (fds, n, wait_ms), 30, 100)
LATE(ssize_t, recv, (int fd, void *to, size_t n, int flags), (fd, to, n, flags), 20, 200)
LATE(ssize_t, send, (int fd, const void *from, size_t n, int flags), (fd, from, n, flags), 20, 100)
LATE(int, shutdown, (int fd, int how), (fd, how), 200, 100)
LATE(int, close, (int fd), (fd), 20, 100)

LATE(ssize_t, read, (int fd, void *to, size_t n), (fd, to, n), 5, 100)
LATE(ssize_t, write, (int fd, const void *from, size_t n), (fd, from, n), 10, 100)
LATE(int, fsync, (int fd), (fd), 50, 200)
LATE(int, fdatasync, (int fd), (fd), 50, 200)
LATE(int, rename, (const char *from, const char *to), (from, to), 200, 200)
LATE(int, unlink, (const char *path), (path), 50, 100)

LATE(int, pthread_mutex_lock, (pthread_mutex_t * m), (m), 1, 40)
LATE(int, pthread_mutex_unlock, (pthread_mutex_t * m), (m), 1, 40)
LATE(int, pthread_cond_signal, (pthread_cond_t * c), (c), 20, 40)
LATE(int, pthread_cond_broadcast, (pthread_cond_t * c), (c), 20, 40)

typedef struct start {
    void *(*run)(void *);
    void *arg;
} start;

static void *run_late(void *arg)
{
    start it = *(start *)arg;
    free(arg);
    late(500, 200);
    return it.run(it.arg);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *arg)
{
    static __typeof__(pthread_create) *next;
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    start *it = malloc(sizeof *it);
    if (!it)
        return ENOMEM;
    *it = (start){run, arg};
    int failed = next(thread, how, run_late, it);
    if (failed)
        free(it);
    late(500, 200);
    return failed;
}
