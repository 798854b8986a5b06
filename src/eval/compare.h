/* Numbers side by side, where their protocols agree. */
#ifndef LIMN_EVAL_COMPARE_H
#define LIMN_EVAL_COMPARE_H

#include "base/status.h"

#include <jansson.h>

/* Of `count` reports as lm_report_read gives them. *comparison is the caller's:
 * {"metrics": [{"metric", "better", "cells": [result or null], "differences":
 *   [{"report": index, "fields": [{"field", "values"}]}], "best": index or null}],
 *  "informs": [{"field", "values": [..]}], "comparable": metrics with two cells or more}.
 * The first report that has a metric sets its protocol; the cell of one that differs is
 * null, and its fields are listed. `best` is given where it is better than every other by
 * more than twice their errors. `informs`: fields that differ without forbidding
 * anything, as sampler and step. */
lm_status lm_compare(json_t *const *reports, int count, json_t **comparison);

#endif
