// Time: a monotonic clock for measuring, the wall clock as RFC 3339, and ids that sort by time.
#ifndef AK_BASE_CLOCK_H
#define AK_BASE_CLOCK_H

#include <stdint.h>

#define AK_TIME_TEXT 25 // "2026-11-24T10:20:30.123Z" and a zero
#define AK_ULID_TEXT 27 // 26 characters of Crockford's base 32 and a zero

double ak_clock_s(void);   // monotonic seconds, for differences only
int64_t ak_clock_ms(void); // milliseconds since 1970, UTC
void ak_time_text(char out[AK_TIME_TEXT], int64_t ms);
void ak_ulid(char out[AK_ULID_TEXT]); // 48 bits of time, 80 random bits; thread-safe

#endif
