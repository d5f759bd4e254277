// When a training run begins by itself: enough new pictures, drift, or time. One thread that looks
// once in refine_check_s seconds.
//
// Never while one goes, outside refine_window, under high load, or soon after a refusal:
// refine_back_off_s (1 h) after the first, 4 times that after two in a row, 24 times after more.
// Intervals are measured by the monotonic clock while the process lives; the wall clock is asked
// once, for the run that ended before the first look. So a clock that is set neither starts a run
// nor puts one off for ever.
#ifndef AK_SERVER_REFINE_TRIGGER_H
#define AK_SERVER_REFINE_TRIGGER_H

#include "core/base/error.h"
#include "server/server.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ak_refine_trigger ak_refine_trigger;

// AK_BAD_VALUE for a setting that cannot be read.
ak_status ak_refine_trigger_start(ak_refine_trigger **out, ak_server *server, ak_error *err);
void ak_refine_trigger_stop(ak_refine_trigger *trigger); // NULL is fine

// --- the rules, for tests ----------------------------------------------------------------------

// Seconds that must pass after so many refusals in a row, of which one takes first_s.
double ak_refine_back_off(int refusals, double first_s);

// "22:00-06:00" to minutes of the day; "" is the whole day. False for anything else.
bool ak_refine_window_read(int *from, int *to, const char *text);
bool ak_refine_window_holds(int from, int to, int64_t ms); // ms since 1970

// Seconds since ended_ms, for a process that has lived for lived_s: what the wall clock says,
// unless that has been set back behind the end.
double ak_refine_elapsed(int64_t ended_ms, int64_t now_ms, double lived_s);

#endif
