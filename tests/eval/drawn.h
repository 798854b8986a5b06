/* Files of weights for published networks, drawn as tests/golden/make_extractors.py draws
 * them, and the pictures that it shows them. */
#ifndef LIMN_TESTS_EVAL_DRAWN_H
#define LIMN_TESTS_EVAL_DRAWN_H

#include "golden/golden.h"
#include "testing.h"

/* Writes the tensors that tests/golden/extractors.txt lists for `network`, but for the
 * one called `without` (may be NULL). */
void drawn_weights(const char *network, const char *without, const char *path);

/* `count` pictures, numbered from `first` by steps of `step`: u8, to be freed. */
uint8_t *drawn_pictures(int count, int first, int step, int height, int width,
                        int channels);

#endif
