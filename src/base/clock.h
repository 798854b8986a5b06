/* Time. */
#ifndef LIMN_BASE_CLOCK_H
#define LIMN_BASE_CLOCK_H

#include <stddef.h>

/* Seconds of a monotonic clock, from an arbitrary start. */
double lm_now(void);

/* Processor time of all threads of this process, in seconds. */
double lm_cpu_seconds(void);

/* UTC wall time as "2026-01-31T12:00:00Z" into a buffer of at least 21 bytes. */
void lm_utc_text(char *buffer, size_t size);

/* "4 s", "3 min 05 s", "2 h 10 min" into a buffer of at least 32 bytes. */
void lm_duration_text(double seconds, char *buffer, size_t size);

#endif
