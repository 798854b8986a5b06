/* A Feistel network over pairs of numbers, left < a and right < b with a * b just above
 * the count; a place that leaves the count walks on until it is back (Black, Rogaway:
 * "Ciphers with arbitrary finite domains", CT-RSA 2002). */
#include "data/order.h"

#include "tensor/philox.h"

#include <math.h>

/* Fewer rounds, or halves of two or three, and a million orders of five or six images are
 * not equally frequent. */
enum { ROUNDS = 10, LEAST_HALF = 4 };

enum { STREAM_ORDER = 10 }; /* those below 100 belong to the data room */

typedef struct network {
    uint32_t key[2], epoch, a, b;
} network;

/* A word of (seed, epoch, round, half), brought below `limit`: some results are favoured
 * by limit / 2^32, which is 1e-5 at most. */
static uint32_t draw(const network *net, uint32_t round, uint32_t half, uint32_t limit) {
    const uint32_t counter[4] = {half, round, net->epoch, STREAM_ORDER};
    uint32_t words[4];
    lm_philox4x32(counter, net->key, words);
    return (uint32_t)((uint64_t)words[0] * limit >> 32);
}

static int64_t permute_pairs(const network *net, int64_t place) {
    uint32_t left = (uint32_t)(place % net->a), right = (uint32_t)(place / net->a);
    for (uint32_t round = 0; round < ROUNDS; round += 2) {
        left = (left + draw(net, round, right, net->a)) % net->a;
        right = (right + draw(net, round + 1, left, net->b)) % net->b;
    }
    return (int64_t)right * net->a + left;
}

static uint32_t at_least(uint32_t least, uint32_t value) {
    return value < least ? least : value;
}

int64_t lm_order_at(uint64_t seed, int64_t epoch, int64_t count, int64_t place) {
    uint32_t a = at_least(LEAST_HALF, (uint32_t)ceil(sqrt((double)count)));
    uint32_t b = at_least(LEAST_HALF, (uint32_t)((count + a - 1) / a));
    const network net = {{(uint32_t)seed, (uint32_t)(seed >> 32)}, (uint32_t)epoch, a, b};
    do place = permute_pairs(&net, place);
    while (place >= count);
    return place;
}
