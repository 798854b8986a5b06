/* Fused kernels of composites. graph/composites.def says what each computes; its body in
 * plain kinds is what the tests compare with. Work is cut by shape alone, never by the
 * number of threads, so that results are the same bits for any number. */
#ifndef LIMN_BACKEND_CPU_COMP_H
#define LIMN_BACKEND_CPU_COMP_H

#include "backend/cpu/cpu_internal.h"

#endif
