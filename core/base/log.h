// The log: one line an event on standard error, with the time, a level and the text. Thread-safe.
#ifndef AK_BASE_LOG_H
#define AK_BASE_LOG_H

typedef enum { AK_LOG_DEBUG, AK_LOG_INFO, AK_LOG_WARN, AK_LOG_ERROR } ak_log_level;

void ak_log_threshold(ak_log_level least); // lines below it are dropped; default AK_LOG_INFO
void ak_log(ak_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
