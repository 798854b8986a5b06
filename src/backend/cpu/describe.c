/* What this backend runs on, for `limn doctor`. */
#include "backend/cpu/cpu_internal.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>

void lm_backend_cpu_describe(char *buffer, size_t size) {
    static const char *const isa[] = {"base", "AVX2", "AVX-512"};
    const dnnl_version_t *version = dnnl_version();
    snprintf(buffer, size, "own kernels for %s, oneDNN %d.%d.%d", isa[lm_cpu_isa()],
             version->major, version->minor, version->patch);
}
