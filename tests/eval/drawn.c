#include "drawn.h"

#include "tensor/philox.h"

#include <fcntl.h>
#include <unistd.h>

enum { SEED = 20151205, FC6_ROWS = 64, MOST = 600, NAME = 64 };

typedef struct tensor {
    char name[NAME];
    int64_t dim[4];
    int rank;
    int64_t count;
} tensor;

typedef struct tensor_list {
    tensor tensors[MOST];
    int count;
} tensor_list;

static void read_list(const char *network, const char *without, tensor_list *list) {
    char path[1024], line[256];
    const char *root = getenv("LIMN_TEST_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/extractors.txt", root ? root : ".");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    list->count = 0;
    while (fgets(line, sizeof line, file)) {
        char of[NAME];
        long long d[4];
        tensor t = {.count = 1};
        int fields = sscanf(line, "%63s %63s %lld %lld %lld %lld", of, t.name, &d[0],
                            &d[1], &d[2], &d[3]);
        assert_true(fields >= 3 && list->count < MOST);
        if (strcmp(of, network) != 0 || (without && strcmp(t.name, without) == 0))
            continue;
        t.rank = fields - 2;
        for (int i = 0; i < t.rank; i++) t.dim[i] = d[i], t.count *= d[i];
        list->tensors[list->count++] = t;
    }
    fclose(file);
    assert_true(list->count > 0);
}

static uint32_t hash_name(const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash;
}

static void find_limits(const tensor *t, double *low, double *high) {
    const char *part = strrchr(t->name, '.') + 1;
    *low = -0.2, *high = 0.2;
    if (strcmp(part, "gamma") == 0 || strcmp(part, "variance") == 0) {
        *low = 0.5, *high = 1.5;
    } else if (strncmp(t->name, "lin", 3) == 0) {
        *low = 0, *high = 1;
    } else if (strcmp(part, "weight") == 0) {
        *high = sqrt(6 / (double)(t->count / t->dim[0]));
        *low = -*high;
    }
}

static void draw(const tensor *t, int64_t count, float *values) {
    double low, high;
    find_limits(t, &low, &high);
    lm_rng rng = {.seed = SEED, .stream = hash_name(t->name)};
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(low + (high - low) * lm_rng_uniform(&rng));
}

/* The header's text, and the bytes that follow it. */
static char *write_header(const tensor_list *list, int64_t *bytes) {
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    *bytes = 0;
    for (int i = 0; i < list->count; i++) {
        const tensor *t = &list->tensors[i];
        int64_t end = *bytes + t->count * 4;
        fprintf(to, "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[", i ? ',' : '{', t->name);
        for (int k = 0; k < t->rank; k++)
            fprintf(to, k ? ",%lld" : "%lld", (long long)t->dim[k]);
        fprintf(to, "],\"data_offsets\":[%lld,%lld]}", (long long)*bytes, (long long)end);
        *bytes = end;
    }
    fputc('}', to);
    fclose(to);
    return text;
}

static void write_tensor(int fd, const tensor *t, off_t place) {
    int64_t count = t->count;
    if (strcmp(t->name, "fc6.weight") == 0) count = count / t->dim[0] * FC6_ROWS;
    float *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    draw(t, count, values);
    assert_true(pwrite(fd, values, (size_t)count * 4, place) == count * 4);
    free(values);
}

/* What is never written, the zeros of fc6, is a hole in the file. */
void drawn_weights(const char *network, const char *without, const char *path) {
    static tensor_list list;
    int64_t bytes;
    read_list(network, without, &list);
    char *header = write_header(&list, &bytes);
    uint64_t length = strlen(header);
    off_t place = (off_t)(8 + length);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(fd >= 0 && ftruncate(fd, place + bytes) == 0);
    assert_true(pwrite(fd, &length, 8, 0) == 8);
    assert_true(pwrite(fd, header, length, 8) == (ssize_t)length);
    for (int i = 0; i < list.count; i++) {
        write_tensor(fd, &list.tensors[i], place);
        place += list.tensors[i].count * 4;
    }
    close(fd);
    free(header);
}

uint8_t *drawn_pictures(int count, int first, int step, int height, int width,
                        int channels) {
    uint8_t *pixels = malloc((size_t)count * height * width * channels), *to = pixels;
    assert_non_null(pixels);
    for (int i = 0, n = first; i < count; i++, n += step)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                for (int c = 0; c < channels; c++) {
                    int steps = (x / 4 + y / 6 + n) % 3 * 60;
                    *to++ = (uint8_t)(x * (7 + n) + y * (11 + 3 * n) + c * 50 + steps);
                }
    return pixels;
}
