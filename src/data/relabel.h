/* A dataset whose labels come from one of its attributes. */
#ifndef LIMN_DATA_RELABEL_H
#define LIMN_DATA_RELABEL_H

#include "data/data.h"

enum { LM_MAX_PARTS = 1000 };

/* [0, 1] in equal parts: the one that holds the value, numbered from 0; values at and
 * beyond an end belong to the part there. A factor of as many levels as parts has one
 * level in each, in order. */
int lm_attribute_part(float value, int parts);

/* Wraps *set, which it owns from then on; on failure *set is freed and NULL. The label is
 * the part (of `parts`, 2 to LM_MAX_PARTS) that the attribute's value lies in. parts 0:
 * as many as the attribute has levels, 2 for a continuous one, so that its middle divides
 * it. The classes are named after the attribute. LM_ARG for a name that the set does not
 * have, with the nearest. */
lm_status lm_dataset_relabel(const char *attribute, int parts, lm_dataset **set);

#endif
