/* JSON files. */
#ifndef LIMN_BASE_JSON_H
#define LIMN_BASE_JSON_H

#include "base/status.h"

#include <jansson.h>

/* A file of at most `limit` bytes; messages name it and the line. Ends with json_decref.
 */
lm_status lm_json_read(const char *path, size_t limit, json_t **json);

/* A text; where it is not UTF-8, as a file's name may be, "?" stands for what is beyond
 * ASCII. NULL: no memory. */
json_t *lm_json_text(const char *text);

/* A number; null where it is not finite, which JSON does not have. */
json_t *lm_json_number(double value);

/* Sets a member of an object, or appends to an array (name NULL); takes over `value`,
 * for which NULL, what jansson's makers return when memory is out, is LM_NOMEM. */
lm_status lm_json_put(json_t *to, const char *name, json_t *value);

/* Written atomically, indented, with a newline at its end. NULL, which jansson's makers
 * return when memory is out, is LM_NOMEM. */
lm_status lm_json_write(const char *path, const json_t *json);

#endif
