/* Messages to the host. The library itself never writes to a stream: it hands lines to
 * this hook, and the command line program installs one that prints to stderr. */
#ifndef LIMN_BASE_LOG_H
#define LIMN_BASE_LOG_H

#include "base/status.h"

typedef enum lm_log_level { LM_LOG_DEBUG, LM_LOG_INFO, LM_LOG_WARNING } lm_log_level;
typedef void (*lm_log_hook)(void *user, lm_log_level level, const char *line);

void lm_log_set(lm_log_hook hook, void *user); /* NULL: drop all */
void lm_log_line(lm_log_level level, const char *format, ...) LM_PRINTF(2, 3);

#endif
