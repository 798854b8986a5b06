/* Files of moments as pytorch-fid writes and reads them: .npz with `mu` [dim] and `sigma`
 * [dim][dim]. Ours also have `count` (i64) and `extractor` (u8, text), which others pass
 * over. */
#ifndef LIMN_EVAL_STATISTICS_H
#define LIMN_EVAL_STATISTICS_H

#include "metrics/moments.h"

/* Whether the path's end says that it is one. */
bool lm_is_statistics(const char *path);

/* Reads what numpy.savez or savez_compressed wrote, of f32 or f64. LM_FORMAT: no such
 * arrays, shapes that do not fit, values that are not finite, a covariance that is not
 * symmetric or has a negative variance. moments->count is 0 where the file has none.
 * extractor: what gave the features, a line, lm_free'd by the caller; NULL where the file
 * does not say. */
lm_status lm_statistics_read(const char *path, lm_moments *moments, char **extractor);

/* Of f64, atomically, equal moments to equal bytes. extractor: a line of at most 1000
 * bytes of printable ASCII; the file does not say what is none, or NULL. */
lm_status lm_statistics_write(const char *path, const lm_moments *moments,
                              const char *extractor);

#endif
