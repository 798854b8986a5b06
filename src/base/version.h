#ifndef LIMN_BASE_VERSION_H
#define LIMN_BASE_VERSION_H

/* "0.1.0", as include/limn/limn.h has it. */
extern const char lm_version[];

#endif
