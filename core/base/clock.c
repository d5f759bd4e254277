#include "core/base/clock.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

double ak_clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int64_t ak_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void ak_time_text(char out[AK_TIME_TEXT], int64_t ms)
{
    int64_t rest = ((ms % 1000) + 1000) % 1000; // before 1970 too
    time_t s = (time_t)((ms - rest) / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    char date[64];
    snprintf(date, sizeof date, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)rest);
    snprintf(out, AK_TIME_TEXT, "%.24s", date);
}

void ak_ulid(char out[AK_ULID_TEXT])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint8_t random[10];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        uint64_t t = (uint64_t)(ak_clock_s() * 1e9); // only before the kernel's pool is ready
        for (int i = 0; i < 10; i++)
            random[i] = (uint8_t)(t >> (i % 8 * 8));
    }
    uint64_t ms = (uint64_t)ak_clock_ms();
    for (int i = 0; i < 10; i++)
        out[9 - i] = digits[ms >> (5 * i) & 31];
    uint32_t bits = 0;
    int have = 0, at = 10;
    for (int i = 0; i < 10; i++) {
        bits = bits << 8 | random[i];
        for (have += 8; have >= 5; have -= 5)
            out[at++] = digits[bits >> (have - 5) & 31];
    }
    out[26] = 0;
}
