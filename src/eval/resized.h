/* Extractors that show images, resized by a named protocol, to a published network. */
#ifndef LIMN_EVAL_RESIZED_H
#define LIMN_EVAL_RESIZED_H

#include "eval/extractor.h"
#include "eval/network.h"
#include "image/resize_rule.h"

/* What a tool does to an image: resize, then x * scale[c] + shift[c] of values 0 .. 255.
 */
typedef struct lm_resized_protocol {
    const char *name;
    lm_resize_rule rule;
    float scale[3], shift[3];
    const char *formula; /* the same in words, "(x-128)/128" */
} lm_resized_protocol;

/* The network takes an input "images" f32[batch,side,side,3], values 0 .. 255, and has an
 * output "features" [batch,dim]. Its `what` is the protocol. */
typedef struct lm_resized_kind {
    lm_network_spec network;
    const lm_resized_protocol *protocols; /* the first unless named; ended by name NULL */
    int dim, classes, batch;
    const char *logits; /* output [batch,classes]; NULL: none */
    const char *biased; /* that of PROTOCOL+bias instead; NULL: none */
} lm_resized_kind;

/* As lm_extractor_kind's open; argument: PROTOCOL[+bias], PROTOCOL[+bias]:FILE, or
 * FILE (which has a slash or a dot). `kind` is borrowed. */
lm_status lm_resized_open(const lm_resized_kind *kind, const char *argument,
                          lm_extractor *extractor);

#endif
