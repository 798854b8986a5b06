/* Digests of files, by which what is fetched and prepared is known: SHA-256 (FIPS 180-4),
 * and MD5 (RFC 1321) where nothing else was ever published. MD5 tells broken from whole
 * transfers; it is no guard against somebody who means harm. */
#ifndef LIMN_DATA_DIGEST_H
#define LIMN_DATA_DIGEST_H

#include "base/status.h"

#include <nettle/md5.h>
#include <nettle/sha2.h>
#include <stddef.h>

typedef enum lm_digest_kind { LM_SHA256, LM_MD5 } lm_digest_kind;

/* Buffer for a digest in lower-case hexadecimal digits, with its NUL. */
#define LM_SHA256_HEX (2 * SHA256_DIGEST_SIZE + 1)
#define LM_MD5_HEX    (2 * MD5_DIGEST_SIZE + 1)

/* A digest under way; holds nothing that must be released. */
typedef struct lm_digest {
    lm_digest_kind kind;
    union {
        struct sha256_ctx sha256;
        struct md5_ctx md5;
    } state;
} lm_digest;

void lm_digest_init(lm_digest *digest, lm_digest_kind kind);
void lm_digest_add(lm_digest *digest, const void *bytes, size_t size);
/* Writes LM_SHA256_HEX or LM_MD5_HEX bytes and begins anew. */
void lm_digest_hex(lm_digest *digest, char *hex);

/* Of a whole file, in constant memory; `hex` is untouched on failure. */
lm_status lm_digest_file(const char *path, lm_digest_kind kind, char *hex);
lm_status lm_sha256_file(const char *path, char hex[LM_SHA256_HEX]);

#endif
