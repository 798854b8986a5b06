#include "image/text.h"

#include "image/frame.h"

#include <string.h>

enum { COLUMNS = 5, ROWS = 8, FIRST = ' ', LAST = '~' };

/* A digit of base 32 for each row from the top, its highest bit on the left; the eighth
 * is below the line. */
static const char glyphs[LAST - FIRST + 1][ROWS + 1] = {
    "00000000", "44444040", "aaa00000", "aavavaa0", "4fke5u40", "op248j30", "cik8lid0",
    "44800000", "24888420", "84222480", "04lel400", "044v4400", "00000c48", "000v0000",
    "00000cc0", "01248g00", "ehjlphe0", "4c4444e0", "eh1248v0", "v2421he0", "26aiv220",
    "vgu11he0", "68guhhe0", "v1248880", "ehhehhe0", "ehhf12c0", "0cc0cc00", "0cc00c48",
    "248g8420", "00v0v000", "84212480", "eh124040", "eh1dlle0", "ehhhvhh0", "uhhuhhu0",
    "ehggghe0", "sihhhis0", "vgguggv0", "vgguggg0", "ehgnhhf0", "hhhvhhh0", "e44444e0",
    "72222ic0", "hikokih0", "ggggggv0", "hrllhhh0", "hhpljhh0", "ehhhhhe0", "uhhuggg0",
    "ehhhlid0", "uhhukih0", "fgge11u0", "v4444440", "hhhhhhe0", "hhhhha40", "hhhllla0",
    "hha4ahh0", "hhha4440", "v1248gv0", "e88888e0", "0g842100", "e22222e0", "4ah00000",
    "000000v0", "84200000", "00e1fhf0", "ggmphhu0", "00egghe0", "11djhhf0", "00ehvge0",
    "698s8880", "00fhhf1e", "ggmphhh0", "40c444e0", "206222ic", "ggikoki0", "c44444e0",
    "00qllhh0", "00mphhh0", "00ehhhe0", "00uhhugg", "00fhhf11", "00mpggg0", "00fge1u0",
    "88s88960", "00hhhjd0", "00hhha40", "00hhlla0", "00ha4ah0", "00hhhf1e", "00v248v0",
    "24484420", "44444440", "84424480", "008l2000"};

/* The next character, or '?' in its place; *text moves behind it. */
static int next_character(const char **text) {
    unsigned char byte = (unsigned char)*(*text)++;
    while ((**text & 0xc0) == 0x80) (*text)++; /* the rest of a UTF-8 sequence */
    return byte >= FIRST && byte <= LAST ? byte : '?';
}

int lm_text_width(const char *text, int scale) {
    int count = 0;
    for (; *text; count++) next_character(&text);
    return count * LM_TEXT_WIDTH * scale;
}

static void draw_dot(lm_image *image, int x, int y, int scale, const uint8_t *colour) {
    int right = x + scale < image->width ? x + scale : image->width;
    int below = y + scale < image->height ? y + scale : image->height;
    size_t channels = (size_t)image->channels;
    for (int row = y > 0 ? y : 0; row < below; row++)
        for (int column = x > 0 ? x : 0; column < right; column++)
            memcpy(image->pixels + ((size_t)row * image->width + column) * channels,
                   colour, channels);
}

static void draw_character(lm_image *image, int x, int y, int character, int scale,
                           const uint8_t *colour) {
    for (int row = 0; row < ROWS; row++) {
        int digit = (unsigned char)glyphs[character - FIRST][row];
        int bits = digit <= '9' ? digit - '0' : digit - 'a' + 10;
        for (int column = 0; column < COLUMNS; column++)
            if (bits >> (COLUMNS - 1 - column) & 1)
                draw_dot(image, x + column * scale, y + row * scale, scale, colour);
    }
}

void lm_text_draw(lm_image *image, int x, int y, const char *text, int scale,
                  const uint8_t *colour) {
    uint8_t grey = lm_luma(colour);
    if (image->channels == 1) colour = &grey;
    for (; *text; x += LM_TEXT_WIDTH * scale)
        draw_character(image, x, y, next_character(&text), scale, colour);
}
