/* Own matrix products, C = A B or A' B with a bias, for two shapes: tall, where A has
 * many rows and B is small (convolutions of one tap, projections), and deep, where the
 * sums are long and C is small (their weights' gradients). */
#ifndef LIMN_BACKEND_CPU_GEMM_H
#define LIMN_BACKEND_CPU_GEMM_H

#include "backend/cpu/cpu_internal.h"
#include "backend/cpu/dnnl_shim.h"

/* Whether the own kernel can compute this product. */
bool lm_gemm_fits(const lm_dnnl_matmul *mm);
/* Whether it is the default where it fits: a rule from measurements (bench/notes.md). */
bool lm_gemm_leads(const lm_dnnl_matmul *mm);
/* Makes the kernel of a product that fits. */
lm_status lm_gemm_lower(const lm_step *step, const lm_dnnl_matmul *mm, lm_kernel *kernel);

#endif
