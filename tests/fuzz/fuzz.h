/* A harness is one file fuzz_NAME.c with the function below: it feeds the bytes to a
 * parser, and aborts when the parser breaks its promises. The parser may refuse anything;
 * it may not crash, leak, or take long. */
#ifndef LIMN_TESTS_FUZZ_H
#define LIMN_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's entry; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
