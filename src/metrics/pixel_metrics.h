/* How far images are from what they should be, pixel by pixel: reconstructions, mostly.
 */
#ifndef LIMN_METRICS_PIXEL_METRICS_H
#define LIMN_METRICS_PIXEL_METRICS_H

#include "metrics/resample.h"

typedef struct lm_pixel_error {
    double mse;  /* mean squared difference of values 0 to 255 */
    double psnr; /* 10 log10(255^2 / mse) dB; infinite for equal images */
    double ssim; /* -1 to 1, 1 for equal images */
} lm_pixel_error;

/* a, b: u8[count][height][width][channels]; each[i] is of the i-th pair. SSIM is that of
 * Wang et al., "Image quality assessment: from error visibility to structural similarity"
 * (2004): windows with Gaussian weights (11 x 11, sigma 1.5) that lie within the image,
 * K1 0.01, K2 0.03, range 255; the mean over windows and channels, as scikit-image has it
 * with gaussian_weights=True, use_sample_covariance=False. For images that are smaller
 * the window is the largest of odd size that fits, with the same sigma. LM_ARG for no
 * pixels, LM_SHAPE for a side beyond 32768. */
lm_status lm_pixel_compare(const uint8_t *a, const uint8_t *b, int64_t count, int height,
                           int width, int channels, lm_pixel_error *each);

/* Means over images with standard errors. PSNR is the mean over those that differ, since
 * one equal pair would make it infinite; `equal` says how many are left out. */
typedef struct lm_pixel_summary {
    int64_t count, equal;
    lm_estimate mse, psnr, ssim;
} lm_pixel_summary;
lm_status lm_pixel_summarise(const lm_pixel_error *each, int64_t count,
                             lm_pixel_summary *summary);

#endif
