/* Arrays out of HDF5 files, by libhdf5. */
#ifndef LIMN_DATA_HDF5_READ_H
#define LIMN_DATA_HDF5_READ_H

#include "tensor/shape.h"

/* A whole dataset, as "train/data", its numbers converted to f32 or i32; *data is
 * lm_free'd by the caller. Larger ones than `limit` bytes are refused. A build without
 * HDF5 says what to install (LM_UNSUPPORTED). One thread at a time. */
lm_status lm_hdf5_read(const char *path, const char *name, lm_dtype dtype, size_t limit,
                       lm_shape *shape, void **data);

#endif
