#include "data/hdf5_read.h"

#ifdef LM_HAVE_HDF5

#include "base/mem.h"

#include <hdf5.h>

static lm_status fail_read(const char *path, const char *name) {
    return lm_fail(LM_FORMAT, "%s: cannot read %s from it: broken, or not HDF5", path,
                   name);
}

static lm_status find_shape(hid_t set, const char *path, const char *name,
                            lm_shape *shape) {
    hsize_t dims[H5S_MAX_RANK];
    hid_t space = H5Dget_space(set);
    int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, dims, NULL);
    if (space >= 0) H5Sclose(space);
    if (rank < 0) return fail_read(path, name);
    LM_RETURN_IF(rank > LM_MAX_RANK, LM_FORMAT, "%s: %s has %d dimensions", path, name,
                 rank);
    *shape = (lm_shape){.rank = rank};
    for (int i = 0; i < rank; i++)
        shape->dim[i] = dims[i] > INT64_MAX ? INT64_MAX : (int64_t)dims[i];
    return LM_OK;
}

static lm_status read_set(hid_t set, const char *path, const char *name, lm_dtype dtype,
                          size_t limit, lm_shape *shape, void **data) {
    size_t bytes;
    char text[LM_SHAPE_TEXT];
    hid_t type = dtype == LM_F32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_INT32;
    LM_TRY(find_shape(set, path, name, shape));
    LM_RETURN_IF(!lm_shape_bytes(*shape, dtype, &bytes) || bytes > limit, LM_FORMAT,
                 "%s: %s of shape %s is too large", path, name,
                 lm_shape_text(*shape, text));
    void *buffer = lm_alloc(bytes);
    if (!buffer) return LM_NOMEM;
    if (H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer) < 0) {
        lm_free(buffer);
        return fail_read(path, name);
    }
    *data = buffer;
    return LM_OK;
}

lm_status lm_hdf5_read(const char *path, const char *name, lm_dtype dtype, size_t limit,
                       lm_shape *shape, void **data) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* it would print */
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = file < 0 ? -1 : H5Dopen2(file, name, H5P_DEFAULT);
    lm_status status = set < 0 ? fail_read(path, name)
                               : read_set(set, path, name, dtype, limit, shape, data);
    if (set >= 0) H5Dclose(set);
    if (file >= 0) H5Fclose(file);
    return status;
}

#else

lm_status lm_hdf5_read(const char *path, const char *name, lm_dtype dtype, size_t limit,
                       lm_shape *shape, void **data) {
    return lm_fail(LM_UNSUPPORTED,
                   "%s: this program was built without HDF5: install libhdf5-dev and "
                   "build again",
                   path);
}

#endif
