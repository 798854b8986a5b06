/* The protocol of a number: all that must agree before two may stand side by side, and
 * what else is worth knowing. It is a flat JSON object; the table below is its schema. */
#ifndef LIMN_EVAL_PROTOCOL_H
#define LIMN_EVAL_PROTOCOL_H

#include "eval/metric.h"

typedef enum lm_protocol_rule {
    LM_PROTOCOL_SAME,     /* must be equal, or lack in both */
    LM_PROTOCOL_IF_KNOWN, /* must be equal where both have it */
    LM_PROTOCOL_INFORMS   /* what is judged, or when: may differ */
} lm_protocol_rule;

typedef struct lm_protocol_field {
    const char *name, *title;
    lm_protocol_rule rule;
} lm_protocol_field;
/* In the order in which people want to read them; ended by name NULL. */
extern const lm_protocol_field lm_protocol_fields[];

/* What a metric's needs say of it; the metric adds its own fields. *protocol is the
 * caller's. */
lm_status lm_protocol_of(const lm_eval_context *context, const lm_eval_metric *metric,
                         json_t **protocol);

/* The fields that forbid a comparison, as [{"field": .., "values": [a, b]}]; empty: the
 * two may be compared. NULL: no memory. A field that is not in the table must be equal:
 * it is from a newer program. */
json_t *lm_protocol_difference(const json_t *a, const json_t *b);

/* A field's value for people: "5", "builtin:digits", "-" where there is none. */
void lm_protocol_text(const json_t *value, lm_str *out);

#endif
