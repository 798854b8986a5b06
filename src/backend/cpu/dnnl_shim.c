#include "backend/cpu/dnnl_shim.h"

#include <stdio.h>

#define V3                (DNNL_VERSION_MAJOR >= 3)
#define HAS_DETERMINISTIC (DNNL_VERSION_MAJOR > 3 || (V3 && DNNL_VERSION_MINOR >= 4))

/* How a layout is handed to oneDNN. */
#if V3
typedef const_dnnl_memory_desc_t layout_ref;
#else
typedef const dnnl_memory_desc_t *layout_ref;
#endif

static layout_ref ref(const lm_layout *layout) {
    if (!layout->valid) return NULL;
#if V3
    return layout->desc;
#else
    return &layout->desc;
#endif
}

static lm_status check(dnnl_status_t status, const char *what) {
    switch (status) {
    case dnnl_success:
        return LM_OK;
    case dnnl_out_of_memory:
        return lm_fail(LM_NOMEM, "onednn: %s: out of memory", what);
    case dnnl_unimplemented:
        return lm_fail(LM_UNSUPPORTED, "onednn: %s: not implemented", what);
    case dnnl_invalid_arguments:
        return lm_fail(LM_BACKEND, "onednn: %s: arguments refused", what);
    default:
        return lm_fail(LM_BACKEND, "onednn: %s: status %d", what, (int)status);
    }
}

lm_status lm_dnnl_init(lm_dnnl *dnnl) {
    *dnnl = (lm_dnnl){0};
    lm_status status;
    LM_TRY_GOTO(fail, check(dnnl_engine_create(&dnnl->engine, dnnl_cpu, 0), "engine"));
    LM_TRY_GOTO(fail, check(dnnl_stream_create(&dnnl->stream, dnnl->engine,
                                               dnnl_stream_default_flags),
                            "stream"));
    return LM_OK;
fail:
    lm_dnnl_release(dnnl);
    return status;
}

void lm_dnnl_release(lm_dnnl *dnnl) {
    if (dnnl->stream) dnnl_stream_destroy(dnnl->stream);
    if (dnnl->engine) dnnl_engine_destroy(dnnl->engine);
    *dnnl = (lm_dnnl){0};
}

/* ---- layouts ----------------------------------------------------------------- */

lm_status lm_layout_init(lm_layout *layout, int rank, const int64_t *dim,
                         const int64_t *stride) {
    dnnl_dims_t dims = {0}, strides = {0};
    dnnl_status_t status;
    *layout = (lm_layout){0};
    for (int i = 0; i < rank; i++) dims[i] = dim[i];
    for (int i = 0; stride && i < rank; i++) strides[i] = stride[i];
#if V3
    status = stride ? dnnl_memory_desc_create_with_strides(&layout->desc, rank, dims,
                                                           dnnl_f32, strides)
                    : dnnl_memory_desc_create_with_tag(&layout->desc, rank, dims,
                                                       dnnl_f32, dnnl_format_tag_any);
#else
    status = stride ? dnnl_memory_desc_init_by_strides(&layout->desc, rank, dims,
                                                       dnnl_f32, strides)
                    : dnnl_memory_desc_init_by_tag(&layout->desc, rank, dims, dnnl_f32,
                                                   dnnl_format_tag_any);
#endif
    layout->valid = status == dnnl_success;
    return check(status, "memory layout");
}

void lm_layout_release(lm_layout *layout) {
#if V3
    if (layout->valid) dnnl_memory_desc_destroy(layout->desc);
#endif
    *layout = (lm_layout){0};
}

size_t lm_layout_bytes(const lm_layout *layout) {
    return dnnl_memory_desc_get_size(ref(layout));
}

bool lm_layout_equal(const lm_layout *a, const lm_layout *b) {
    return dnnl_memory_desc_equal(ref(a), ref(b)) != 0;
}

static lm_status copy_layout(lm_layout *to, layout_ref from) {
    *to = (lm_layout){0};
#if V3
    LM_TRY(check(dnnl_memory_desc_clone(&to->desc, from), "memory layout"));
#else
    to->desc = *from;
#endif
    to->valid = true;
    return LM_OK;
}

/* ---- operations -------------------------------------------------------------- */

/* Scratch memory always comes from the caller: the library's own is one buffer per
 * thread, which makes operations depend on the thread that made them. */
static lm_status make_attr(dnnl_primitive_attr_t *attr) {
    LM_TRY(check(dnnl_primitive_attr_create(attr), "attributes"));
    dnnl_status_t status =
        dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
#if HAS_DETERMINISTIC
    if (status == dnnl_success) status = dnnl_primitive_attr_set_deterministic(*attr, 1);
#endif
    if (status != dnnl_success) {
        dnnl_primitive_attr_destroy(*attr);
        *attr = NULL;
    }
    return check(status, "attributes");
}

static void name_impl(const_dnnl_primitive_desc_t pd, char *out, size_t size) {
    const char *text = NULL;
    dnnl_status_t status =
        dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&text);
    snprintf(out, size, "%s", status == dnnl_success && text ? text : "unknown");
}

/* Takes the primitive descriptor over. */
static lm_status finish_op(const lm_dnnl *dnnl, lm_dnnl_op *op, dnnl_primitive_desc_t pd,
                           int n_args, const int *id) {
    lm_status status;
    *op = (lm_dnnl_op){.n_args = n_args};
    name_impl(pd, op->impl, sizeof op->impl);
    for (int i = 0; i <= n_args; i++) {
        op->id[i] = i == n_args ? DNNL_ARG_SCRATCHPAD : id[i];
        layout_ref layout =
            dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, op->id[i]);
        if (i == n_args) op->scratch = dnnl_memory_desc_get_size(layout);
        LM_TRY_GOTO(fail, check(dnnl_memory_create(&op->memory[i], layout, dnnl->engine,
                                                   DNNL_MEMORY_NONE),
                                "memory"));
    }
    LM_TRY_GOTO(fail, check(dnnl_primitive_create(&op->primitive, pd), "primitive"));
    dnnl_primitive_desc_destroy(pd);
    return LM_OK;
fail:
    dnnl_primitive_desc_destroy(pd);
    lm_dnnl_op_release(op);
    return status;
}

void lm_dnnl_op_release(lm_dnnl_op *op) {
    for (int i = 0; i <= LM_DNNL_ARGS; i++)
        if (op->memory[i]) dnnl_memory_destroy(op->memory[i]);
    if (op->primitive) dnnl_primitive_destroy(op->primitive);
    *op = (lm_dnnl_op){0};
}

/* Setting a handle may write the padding of a blocked layout, so only when it changed. */
static lm_status point_at(lm_dnnl_op *op, int i, void *data) {
    if (op->data[i] == data) return LM_OK;
    LM_TRY(check(dnnl_memory_set_data_handle(op->memory[i], data), "data handle"));
    op->data[i] = data;
    return LM_OK;
}

lm_status lm_dnnl_op_run(const lm_dnnl *dnnl, lm_dnnl_op *op, void *const *data,
                         void *scratch) {
    dnnl_exec_arg_t args[LM_DNNL_ARGS + 1];
    for (int i = 0; i <= op->n_args; i++) {
        LM_TRY(point_at(op, i, i == op->n_args ? scratch : data[i]));
        args[i] = (dnnl_exec_arg_t){op->id[i], op->memory[i]};
    }
    LM_TRY(
        check(dnnl_primitive_execute(op->primitive, dnnl->stream, op->n_args + 1, args),
              "execute"));
    return check(dnnl_stream_wait(dnnl->stream), "wait");
}

/* ---- convolution ------------------------------------------------------------- */

enum { SRC, WEIGHTS, DST, BIAS };

/* Dimensions of weights as oneDNN counts them: [g,] o, i, h, w. */
static int weight_dims(const lm_dnnl_conv *conv, int64_t dim[5]) {
    int rank = 0;
    if (conv->groups > 1) dim[rank++] = conv->groups;
    dim[rank++] = conv->out_channels / conv->groups;
    dim[rank++] = conv->in_channels / conv->groups;
    dim[rank++] = conv->kernel[0];
    dim[rank++] = conv->kernel[1];
    return rank;
}

lm_status lm_dnnl_conv_weights(const lm_dnnl_conv *conv, const int64_t ohwi_stride[4],
                               lm_layout *layout) {
    int64_t dim[5], stride[5];
    int rank = weight_dims(conv, dim), i = 0;
    if (conv->groups > 1)
        stride[i++] = conv->out_channels / conv->groups * ohwi_stride[0];
    stride[i++] = ohwi_stride[0];
    stride[i++] = ohwi_stride[3];
    stride[i++] = ohwi_stride[1];
    stride[i++] = ohwi_stride[2];
    return lm_layout_init(layout, rank, dim, stride);
}

static lm_status init_nhwc(lm_layout *layout, int64_t n, const int64_t hw[2], int64_t c) {
    int64_t dim[4] = {n, c, hw[0], hw[1]};
    int64_t stride[4] = {hw[0] * hw[1] * c, 1, hw[1] * c, c};
    return lm_layout_init(layout, 4, dim, stride);
}

static lm_status init_conv_layouts(const lm_dnnl_conv *conv, lm_layout layout[4]) {
    int64_t dim[5], one = 1;
    int rank = weight_dims(conv, dim);
    LM_TRY(init_nhwc(&layout[SRC], conv->batch, conv->in, conv->in_channels));
    LM_TRY(lm_layout_init(&layout[WEIGHTS], rank, dim, NULL));
    LM_TRY(init_nhwc(&layout[DST], conv->batch, conv->out, conv->out_channels));
    if (!conv->bias) return LM_OK;
    return lm_layout_init(&layout[BIAS], 1, &conv->out_channels, &one);
}

/* Arrays as long as oneDNN's prototypes want them. */
typedef struct conv_dims {
    dnnl_dims_t stride, dilation, lo, hi;
} conv_dims;

#if V3
static dnnl_status_t conv_descriptor(const lm_dnnl *dnnl, const lm_layout layout[4],
                                     const conv_dims *dims, lm_dnnl_pass pass,
                                     const_dnnl_primitive_attr_t attr,
                                     const_dnnl_primitive_desc_t hint,
                                     dnnl_primitive_desc_t *pd) {
    layout_ref src = ref(&layout[SRC]), weights = ref(&layout[WEIGHTS]);
    layout_ref dst = ref(&layout[DST]), bias = ref(&layout[BIAS]);
    dnnl_alg_kind_t alg = dnnl_convolution_direct;
    if (pass == LM_DNNL_FORWARD)
        return dnnl_convolution_forward_primitive_desc_create(
            pd, dnnl->engine, dnnl_forward_training, alg, src, weights, bias, dst,
            dims->stride, dims->dilation, dims->lo, dims->hi, attr);
    if (pass == LM_DNNL_BACK_DATA)
        return dnnl_convolution_backward_data_primitive_desc_create(
            pd, dnnl->engine, alg, src, weights, dst, dims->stride, dims->dilation,
            dims->lo, dims->hi, hint, attr);
    return dnnl_convolution_backward_weights_primitive_desc_create(
        pd, dnnl->engine, alg, src, weights, NULL, dst, dims->stride, dims->dilation,
        dims->lo, dims->hi, hint, attr);
}
#else
static dnnl_status_t conv_descriptor(const lm_dnnl *dnnl, const lm_layout layout[4],
                                     const conv_dims *dims, lm_dnnl_pass pass,
                                     const_dnnl_primitive_attr_t attr,
                                     const_dnnl_primitive_desc_t hint,
                                     dnnl_primitive_desc_t *pd) {
    layout_ref src = ref(&layout[SRC]), weights = ref(&layout[WEIGHTS]);
    layout_ref dst = ref(&layout[DST]), bias = ref(&layout[BIAS]);
    dnnl_alg_kind_t alg = dnnl_convolution_direct;
    dnnl_convolution_desc_t desc;
    dnnl_status_t status;
    if (pass == LM_DNNL_FORWARD)
        status = dnnl_dilated_convolution_forward_desc_init(
            &desc, dnnl_forward_training, alg, src, weights, bias, dst, dims->stride,
            dims->dilation, dims->lo, dims->hi);
    else if (pass == LM_DNNL_BACK_DATA)
        status = dnnl_dilated_convolution_backward_data_desc_init(
            &desc, alg, src, weights, dst, dims->stride, dims->dilation, dims->lo,
            dims->hi);
    else
        status = dnnl_dilated_convolution_backward_weights_desc_init(
            &desc, alg, src, weights, NULL, dst, dims->stride, dims->dilation, dims->lo,
            dims->hi);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &desc, attr, dnnl->engine, hint);
}
#endif

/* The backward passes want the forward one's descriptor as a hint. */
static lm_status make_conv_descriptor(const lm_dnnl *dnnl, const lm_dnnl_conv *conv,
                                      const lm_layout layout[4],
                                      const_dnnl_primitive_attr_t attr,
                                      dnnl_primitive_desc_t *pd) {
    conv_dims dims = {{0}, {0}, {0}, {0}};
    for (int i = 0; i < 2; i++) {
        dims.stride[i] = conv->stride[i];
        dims.dilation[i] = conv->dilation[i] - 1;
        dims.lo[i] = conv->pad_lo[i];
        dims.hi[i] = conv->pad_hi[i];
    }
    dnnl_primitive_desc_t hint = NULL;
    if (conv->pass != LM_DNNL_FORWARD)
        LM_TRY(check(
            conv_descriptor(dnnl, layout, &dims, LM_DNNL_FORWARD, attr, NULL, &hint),
            "forward convolution as a hint"));
    lm_status status = check(
        conv_descriptor(dnnl, layout, &dims, conv->pass, attr, hint, pd), "convolution");
    if (hint) dnnl_primitive_desc_destroy(hint);
    return status;
}

lm_status lm_dnnl_conv_init(lm_dnnl *dnnl, const lm_dnnl_conv *conv, lm_dnnl_op *op,
                            lm_layout *weights) {
    static const int args[][4] = {
        [LM_DNNL_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS},
        [LM_DNNL_BACK_DATA] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
        [LM_DNNL_BACK_WEIGHTS] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
    };
    const int *id = args[conv->pass];
    lm_layout layout[4] = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    lm_status status;
    *op = (lm_dnnl_op){0};
    *weights = (lm_layout){0};
    LM_TRY_GOTO(done, init_conv_layouts(conv, layout));
    LM_TRY_GOTO(done, make_attr(&attr));
    LM_TRY_GOTO(done, make_conv_descriptor(dnnl, conv, layout, attr, &pd));
    LM_TRY_GOTO(done, copy_layout(weights, dnnl_primitive_desc_query_md(
                                               pd, dnnl_query_exec_arg_md, id[WEIGHTS])));
    status = finish_op(dnnl, op, pd, conv->bias ? 4 : 3, id);
    pd = NULL;
done:
    if (status != LM_OK) lm_layout_release(weights);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (attr) dnnl_primitive_attr_destroy(attr);
    for (int i = 0; i < 4; i++) lm_layout_release(&layout[i]);
    return status;
}

/* ---- matrix product, reorder ------------------------------------------------- */

static lm_status init_matrix(lm_layout *layout, int64_t batch, int64_t rows, int64_t cols,
                             bool transposed) {
    int64_t dim[3] = {batch, rows, cols};
    int64_t stride[3] = {rows * cols, transposed ? 1 : cols, transposed ? rows : 1};
    return batch > 1 ? lm_layout_init(layout, 3, dim, stride)
                     : lm_layout_init(layout, 2, dim + 1, stride + 1);
}

static lm_status init_matmul_layouts(const lm_dnnl_matmul *mm, lm_layout layout[4]) {
    LM_TRY(init_matrix(&layout[SRC], mm->batch, mm->m, mm->k, mm->ta));
    LM_TRY(init_matrix(&layout[WEIGHTS], mm->batch, mm->k, mm->n, mm->tb));
    LM_TRY(init_matrix(&layout[DST], mm->batch, mm->m, mm->n, false));
    if (!mm->bias) return LM_OK;
    int64_t dim[3] = {1, 1, mm->n}, stride[3] = {mm->n, mm->n, 1};
    int skip = mm->batch > 1 ? 0 : 1;
    return lm_layout_init(&layout[BIAS], 3 - skip, dim + skip, stride + skip);
}

static dnnl_status_t matmul_descriptor(const lm_dnnl *dnnl, const lm_layout layout[4],
                                       const_dnnl_primitive_attr_t attr,
                                       dnnl_primitive_desc_t *pd) {
#if V3
    return dnnl_matmul_primitive_desc_create(pd, dnnl->engine, ref(&layout[SRC]),
                                             ref(&layout[WEIGHTS]), ref(&layout[BIAS]),
                                             ref(&layout[DST]), attr);
#else
    dnnl_matmul_desc_t desc;
    dnnl_status_t status =
        dnnl_matmul_desc_init(&desc, ref(&layout[SRC]), ref(&layout[WEIGHTS]),
                              ref(&layout[BIAS]), ref(&layout[DST]));
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &desc, attr, dnnl->engine, NULL);
#endif
}

lm_status lm_dnnl_matmul_init(lm_dnnl *dnnl, const lm_dnnl_matmul *matmul,
                              lm_dnnl_op *op) {
    static const int id[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS};
    lm_layout layout[4] = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd;
    lm_status status;
    *op = (lm_dnnl_op){0};
    LM_TRY_GOTO(done, init_matmul_layouts(matmul, layout));
    LM_TRY_GOTO(done, make_attr(&attr));
    LM_TRY_GOTO(done, check(matmul_descriptor(dnnl, layout, attr, &pd), "matmul"));
    status = finish_op(dnnl, op, pd, matmul->bias ? 4 : 3, id);
done:
    if (attr) dnnl_primitive_attr_destroy(attr);
    for (int i = 0; i < 4; i++) lm_layout_release(&layout[i]);
    return status;
}

lm_status lm_dnnl_reorder_init(lm_dnnl *dnnl, const lm_layout *from, const lm_layout *to,
                               lm_dnnl_op *op) {
    static const int id[] = {DNNL_ARG_FROM, DNNL_ARG_TO};
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t pd;
    *op = (lm_dnnl_op){0};
    LM_TRY(make_attr(&attr));
    lm_status status =
        check(dnnl_reorder_primitive_desc_create(&pd, ref(from), dnnl->engine, ref(to),
                                                 dnnl->engine, attr),
              "reorder");
    dnnl_primitive_attr_destroy(attr);
    if (status != LM_OK) return status;
    return finish_op(dnnl, op, pd, 2, id);
}
