/* Reads Netpbm's formats: PBM, PGM and PPM as text (P1 to P3) and as bytes (P4 to P6),
 * and PAM (P7) of grey or colour, with or without alpha. Numbers are big-endian. */
#include "image/codec_internal.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <string.h>

/* Far beyond what is accepted, far below what overflows. */
#define MOST_NUMBER 1000000000

typedef struct pnm {
    uint64_t width, height;
    int samples; /* a pixel: 1 grey, 2 with alpha, 3 colour, 4 with alpha */
    uint64_t most;
    bool text, bitmap; /* bitmap: 1 is black, and as bytes eight pixels share one */
    size_t at;         /* where the pixels begin */
} pnm;

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool recognise(const uint8_t *bytes, size_t size) {
    return size >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7' &&
           (is_space(bytes[2]) || bytes[2] == '#');
}

/* ---- header ------------------------------------------------------------------ */

typedef struct text {
    const uint8_t *bytes;
    size_t size, at;
} text;

/* Comments go to the end of the line. */
static void skip_space(text *t) {
    bool comment = false;
    for (; t->at < t->size; t->at++) {
        uint8_t c = t->bytes[t->at];
        if (c == '#') comment = true;
        if (!comment && !is_space(c)) return;
        if (c == '\n' || c == '\r') comment = false;
    }
}

/* At most `digits` digits; a bitmap's need no space between. */
static lm_status read_number(text *t, int digits, uint64_t *number) {
    skip_space(t);
    size_t first = t->at;
    *number = 0;
    while (t->at < t->size && t->at - first < (size_t)digits) {
        uint8_t c = t->bytes[t->at];
        if (c < '0' || c > '9') break;
        *number = *number * 10 + c - '0';
        t->at++;
        LM_RETURN_IF(*number > MOST_NUMBER, LM_FORMAT, "a number above %d", MOST_NUMBER);
    }
    if (t->at > first) return LM_OK;
    LM_RETURN_IF(t->at == t->size, LM_FORMAT, "ends early");
    return lm_fail(LM_FORMAT, "byte %02x where a number should be", t->bytes[t->at]);
}

enum { ANY_DIGITS = 10 };

static lm_status read_classic(text *t, int kind, pnm *p) {
    p->samples = kind % 3 == 0 ? 3 : 1;
    p->text = kind <= 3;
    p->bitmap = kind % 3 == 1;
    p->most = 1;
    LM_TRY(read_number(t, ANY_DIGITS, &p->width));
    LM_TRY(read_number(t, ANY_DIGITS, &p->height));
    if (!p->bitmap) LM_TRY(read_number(t, ANY_DIGITS, &p->most));
    LM_RETURN_IF(t->at == t->size, LM_FORMAT, "ends early");
    LM_RETURN_IF(!is_space(t->bytes[t->at]), LM_FORMAT, "no space behind the header");
    t->at++;
    return LM_OK;
}

static bool next_word(text *t, const char **word, size_t *length) {
    skip_space(t);
    *word = (const char *)t->bytes + t->at;
    size_t first = t->at;
    while (t->at < t->size && !is_space(t->bytes[t->at])) t->at++;
    *length = t->at - first;
    return t->at < t->size;
}

static bool is_word(const char *word, size_t length, const char *wanted) {
    return length == strlen(wanted) && memcmp(word, wanted, length) == 0;
}

/* What the pixels of a PAM are; their number of samples says it already. */
static lm_status check_tuple_type(text *t) {
    static const char *const known[] = {"BLACKANDWHITE", "BLACKANDWHITE_ALPHA",
                                        "GRAYSCALE",     "GRAYSCALE_ALPHA",
                                        "RGB",           "RGB_ALPHA"};
    const char *word;
    size_t length;
    LM_RETURN_IF(!next_word(t, &word, &length), LM_FORMAT, "ends early");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is_word(word, length, known[i])) return LM_OK;
    return lm_fail(LM_UNSUPPORTED, "an unknown tuple type");
}

/* Lines of a name and a number in any order, up to ENDHDR. */
static lm_status read_pam(text *t, pnm *p) {
    uint64_t samples = 0;
    const struct {
        const char *name;
        uint64_t *value;
    } fields[] = {{"WIDTH", &p->width},
                  {"HEIGHT", &p->height},
                  {"DEPTH", &samples},
                  {"MAXVAL", &p->most}};
    const size_t n_fields = sizeof fields / sizeof *fields;
    for (;;) {
        const char *word;
        size_t length, i = 0;
        LM_RETURN_IF(!next_word(t, &word, &length), LM_FORMAT, "ends early");
        if (is_word(word, length, "ENDHDR")) break;
        while (i < n_fields && !is_word(word, length, fields[i].name)) i++;
        if (i < n_fields)
            LM_TRY(read_number(t, ANY_DIGITS, fields[i].value));
        else if (is_word(word, length, "TUPLTYPE"))
            LM_TRY(check_tuple_type(t));
        else
            return lm_fail(LM_FORMAT, "an unknown line in the header");
    }
    t->at++; /* the line feed that next_word saw */
    LM_RETURN_IF(samples < 1 || samples > 4, LM_FORMAT,
                 "%llu samples a pixel: expected 1 to 4", (unsigned long long)samples);
    p->samples = (int)samples;
    return LM_OK;
}

static lm_status read_header(const uint8_t *bytes, size_t size, pnm *p) {
    *p = (pnm){0};
    text t = {.bytes = bytes, .size = size, .at = 2};
    int kind = bytes[1] - '0';
    LM_TRY(kind == 7 ? read_pam(&t, p) : read_classic(&t, kind, p));
    LM_RETURN_IF(p->most < 1 || p->most > 65535, LM_FORMAT,
                 "samples up to %llu: expected 1 to 65535", (unsigned long long)p->most);
    p->at = t.at;
    return LM_OK;
}

/* Bytes of a row that is stored as bytes. */
static uint64_t row_size(const pnm *p) {
    if (p->bitmap) return (p->width + 7) / 8;
    return p->width * (uint64_t)p->samples * (p->most > 255 ? 2 : 1);
}

static lm_status probe(const uint8_t *bytes, size_t size, lm_picture *picture) {
    pnm p;
    LM_TRY(read_header(bytes, size, &p));
    picture->width = p.width;
    picture->height = p.height;
    picture->channels = p.samples <= 2 ? 1 : 3;
    /* As text, a digit a sample and a space between; bitmaps do without. */
    uint64_t samples = p.width * p.height * (uint64_t)p.samples;
    uint64_t size_of_text = p.bitmap ? samples : 2 * samples - 1;
    picture->least_size = p.at + (p.text ? size_of_text : row_size(&p) * p.height);
    return LM_OK;
}

/* ---- pixels ------------------------------------------------------------------ */

static lm_status read_text_row(const pnm *p, text *t, uint16_t *samples) {
    uint64_t count = p->width * (uint64_t)p->samples, number;
    for (uint64_t i = 0; i < count; i++) {
        LM_TRY(read_number(t, p->bitmap ? 1 : ANY_DIGITS, &number));
        LM_RETURN_IF(number > p->most, LM_FORMAT, "a sample of %llu above %llu",
                     (unsigned long long)number, (unsigned long long)p->most);
        samples[i] = (uint16_t)number;
    }
    return LM_OK;
}

/* That the bytes are there is known from least_size. */
static lm_status read_byte_row(const pnm *p, text *t, uint16_t *samples) {
    const uint8_t *row = t->bytes + t->at;
    uint64_t count = p->width * (uint64_t)p->samples;
    t->at += row_size(p);
    for (uint64_t i = 0; i < count; i++) {
        if (p->bitmap)
            samples[i] = row[i / 8] >> (7 - i % 8) & 1;
        else
            samples[i] = p->most > 255 ? (uint16_t)lm_read_be(row + 2 * i, 2) : row[i];
        LM_RETURN_IF(samples[i] > p->most, LM_FORMAT, "a sample of %d above %llu",
                     samples[i], (unsigned long long)p->most);
    }
    return LM_OK;
}

static void finish_row(const pnm *p, const uint16_t *samples, const uint8_t *background,
                       uint8_t *to) {
    unsigned most = (unsigned)p->most;
    if (p->samples % 2 == 0) {
        lm_flatten_u16(samples, p->width, p->samples - 1, most, background, to);
        return;
    }
    for (uint64_t i = 0; i < p->width * (uint64_t)p->samples; i++) {
        unsigned sample = p->bitmap ? 1u - samples[i] : samples[i];
        to[i] = (uint8_t)((sample * 255 + most / 2) / most);
    }
}

static lm_status decode(const uint8_t *bytes, size_t size, const uint8_t *background,
                        lm_image *image) {
    pnm p;
    LM_TRY(read_header(bytes, size, &p));
    text t = {.bytes = bytes, .size = size, .at = p.at};
    uint16_t *samples = lm_alloc(p.width * (uint64_t)p.samples * sizeof *samples);
    if (!samples) return LM_NOMEM;
    lm_status status = LM_OK;
    uint8_t *to = image->pixels;
    for (uint64_t y = 0; y < p.height && status == LM_OK; y++) {
        status = p.text ? read_text_row(&p, &t, samples) : read_byte_row(&p, &t, samples);
        if (status == LM_OK) finish_row(&p, samples, background, to);
        to += p.width * (uint64_t)image->channels;
    }
    lm_free(samples);
    return status;
}

const lm_codec lm_pnm_codec = {"PNM", recognise, probe, decode};
