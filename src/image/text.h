/* Words on pictures, in one small face. */
#ifndef LIMN_IMAGE_TEXT_H
#define LIMN_IMAGE_TEXT_H

#include "image/image.h"

/* Of a character at scale 1, the space after it and below the line included. */
enum { LM_TEXT_WIDTH = 6, LM_TEXT_HEIGHT = 9 };

/* Pixels that the text is wide: LM_TEXT_WIDTH * scale a character. */
int lm_text_width(const char *text, int scale);

/* Draws one line with its upper left corner at (x, y), each dot scale x scale pixels, in
 * `colour` (RGB; its luma on a grey picture). What lies outside the picture is cut off.
 * UTF-8; what is not ASCII is drawn as "?". */
void lm_text_draw(lm_image *image, int x, int y, const char *text, int scale,
                  const uint8_t *colour);

#endif
