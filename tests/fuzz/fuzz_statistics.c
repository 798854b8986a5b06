/* Files of mu and sigma. What is read has variances and is symmetric. */
#include "fuzz/fuzz.h"

#include "base/mem.h"
#include "eval/statistics.h"
#include "fuzz/memory_file.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    memory_file file;
    lm_moments m;
    char *extractor;
    memory_file_open(&file, data, size);
    if (lm_statistics_read(file.path, &m, &extractor) == LM_OK) {
        for (int i = 0; i < m.dim; i++)
            for (int j = 0; j < m.dim; j++) {
                double value = m.covariance[(size_t)i * m.dim + j];
                if (!isfinite(value) || (i == j && value < 0)) abort();
                if (value != m.covariance[(size_t)j * m.dim + i]) abort();
            }
        if (extractor && !*extractor) abort();
        lm_free(extractor);
        lm_moments_release(&m);
    }
    memory_file_close(&file);
    return 0;
}
