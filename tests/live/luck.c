// What a program believes of the world, for tests (tests/live/akin_luck.py): preloaded, it adds the
// seconds that the file AKIN_LUCK holds to the wall clock, and says the load that follows them.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// By system calls alone: sanitizers watch the functions.
static void look(long long *seconds, double *load)
{
    char text[64] = {0};
    const char *path = getenv("AKIN_LUCK");
    long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    char *end = text;
    if (fd >= 0 && syscall(SYS_read, fd, text, sizeof text - 1) < 0)
        text[0] = 0;
    if (fd >= 0)
        syscall(SYS_close, fd);
    *seconds = strtoll(text, &end, 10);
    *load = strtod(end, NULL);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    long long seconds;
    double load;
    int failed = (int)syscall(SYS_clock_gettime, id, t);
    if (failed || id != CLOCK_REALTIME)
        return failed;
    look(&seconds, &load);
    t->tv_sec += (time_t)seconds;
    return 0;
}

int getloadavg(double loads[], int n)
{
    long long seconds;
    double load;
    look(&seconds, &load);
    for (int i = 0; i < n; i++)
        loads[i] = load;
    return n;
}
