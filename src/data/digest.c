#include "data/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

void lm_digest_init(lm_digest *digest, lm_digest_kind kind) {
    digest->kind = kind;
    if (kind == LM_SHA256)
        sha256_init(&digest->state.sha256);
    else
        md5_init(&digest->state.md5);
}

void lm_digest_add(lm_digest *digest, const void *bytes, size_t size) {
    if (digest->kind == LM_SHA256)
        sha256_update(&digest->state.sha256, size, bytes);
    else
        md5_update(&digest->state.md5, size, bytes);
}

void lm_digest_hex(lm_digest *digest, char *hex) {
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[SHA256_DIGEST_SIZE];
    size_t size = digest->kind == LM_SHA256 ? SHA256_DIGEST_SIZE : MD5_DIGEST_SIZE;
    if (digest->kind == LM_SHA256)
        sha256_digest(&digest->state.sha256, size, bytes);
    else
        md5_digest(&digest->state.md5, size, bytes);
    for (size_t i = 0; i < size; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * size] = '\0';
}

static lm_status add_file(lm_digest *digest, int fd, const char *path) {
    uint8_t buffer[1 << 16];
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        LM_RETURN_IF(got < 0, LM_IO, "%s: cannot read: %s", path, strerror(errno));
        if (got == 0) return LM_OK;
        lm_digest_add(digest, buffer, (size_t)got);
    }
}

lm_status lm_digest_file(const char *path, lm_digest_kind kind, char *hex) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    LM_RETURN_IF(fd < 0, errno == ENOENT ? LM_NOT_FOUND : LM_IO, "%s: cannot open: %s",
                 path, strerror(errno));
    lm_digest digest;
    lm_digest_init(&digest, kind);
    lm_status status = add_file(&digest, fd, path);
    close(fd);
    if (status == LM_OK) lm_digest_hex(&digest, hex);
    return status;
}

lm_status lm_sha256_file(const char *path, char hex[LM_SHA256_HEX]) {
    return lm_digest_file(path, LM_SHA256, hex);
}
