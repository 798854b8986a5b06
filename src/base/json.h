/* JSON files. */
#ifndef LIMN_BASE_JSON_H
#define LIMN_BASE_JSON_H

#include "base/status.h"

#include <jansson.h>

/* A file of at most `limit` bytes; messages name it and the line. Ends with json_decref.
 */
lm_status lm_json_read(const char *path, size_t limit, json_t **json);

/* Written atomically, indented, with a newline at its end. NULL, which jansson's makers
 * return when memory is out, is LM_NOMEM. */
lm_status lm_json_write(const char *path, const json_t *json);

#endif
