#include "data/transfer.h"

#ifdef LM_HAVE_CURL

#include "base/version.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const bool lm_transfer_possible = true;

/* Of a file whose size nobody published; what is larger is not that file. */
#define MOST_OF_UNKNOWN ((int64_t)1 << 30)

typedef struct receiver {
    const lm_transfer *transfer;
    CURL *curl;
    int64_t have, total; /* bytes in the file, and in all; total 0: not known */
    bool begun;          /* the answer was looked at and is what was asked for */
    bool whole;          /* it begins at the first byte */
    bool decided;        /* by us, against going on; `end` and the message say how */
    lm_transfer_end end;
    lm_status status; /* failures on this side */
} receiver;

/* Ends the transfer; the message is recorded by now. */
static bool decide(receiver *r, lm_transfer_end end) {
    r->decided = true;
    r->end = end;
    return false;
}

/* ---- the answer -------------------------------------------------------------- */

/* "bytes FIRST-LAST/TOTAL", TOTAL may be "*". */
static bool parse_range(const char *text, int64_t *first, int64_t *total) {
    if (strncmp(text, "bytes ", 6) != 0) return false;
    char *end;
    errno = 0;
    *first = strtoll(text + 6, &end, 10);
    if (*end != '-') return false;
    (void)strtoll(end + 1, &end, 10);
    if (*end != '/') return false;
    *total = end[1] == '*' ? 0 : strtoll(end + 1, &end, 10);
    return errno == 0 && *first >= 0 && *total >= 0;
}

static const char *header_of(receiver *r, const char *name) {
    struct curl_header *header;
    return curl_easy_header(r->curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK
               ? header->value
               : "";
}

/* 206 is a part, which must be the one that is missing; 200 is the whole, also where
 * only the rest was asked for. */
static bool check_part(receiver *r, long code) {
    int64_t first = 0;
    if (code == 206 && (!parse_range(header_of(r, "Content-Range"), &first, &r->total) ||
                        first != r->have)) {
        lm_fail(LM_IO, "%s: sends another part than was asked for", r->transfer->url);
        return decide(r, LM_TRANSFER_STALE);
    }
    curl_off_t length = -1;
    if (code == 200)
        curl_easy_getinfo(r->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length > 0) r->total = length;
    return true;
}

/* Portals and drives like to answer with a page of their own. */
static bool check_kind(receiver *r) {
    const lm_transfer *t = r->transfer;
    long code = 0;
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &code);
    r->total = 0;
    if (code != 200 && code != 206)
        lm_fail(LM_IO, "%s: the server answers %ld", t->url, code);
    else if (strncmp(header_of(r, "Content-Type"), "text/html", 9) == 0)
        lm_fail(LM_FORMAT, "%s: a web page, not the file", t->url);
    else if (!check_part(r, code))
        return false;
    else if (t->bytes && r->total && r->total != t->bytes)
        lm_fail(LM_FORMAT, "%s: has %lld bytes, expected %lld", t->url,
                (long long)r->total, (long long)t->bytes);
    else {
        r->whole = code == 200;
        return true;
    }
    return decide(r, LM_TRANSFER_REFUSED);
}

/* Looks at the answer before the first byte of it is kept. */
static bool begin(receiver *r) {
    if (!check_kind(r)) return false;
    if (!r->total) r->total = r->transfer->bytes;
    if (r->whole && r->have) {
        if (ftruncate(r->transfer->file, 0) != 0 ||
            lseek(r->transfer->file, 0, SEEK_SET) != 0) {
            r->status = lm_fail(LM_IO, "%s: cannot write: %s", r->transfer->path,
                                strerror(errno));
            return false;
        }
        r->have = 0;
    }
    return r->begun = true;
}

static bool keep(receiver *r, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t put = write(r->transfer->file, bytes, size);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            r->status = lm_fail(LM_IO, "%s: cannot write: %s", r->transfer->path,
                                strerror(errno));
            return false;
        }
        bytes += put;
        size -= (size_t)put;
        r->have += put;
    }
    return true;
}

static size_t on_bytes(char *bytes, size_t unit, size_t count, void *user) {
    receiver *r = user;
    size_t size = unit * count;
    if (!r->begun && !begin(r)) return CURL_WRITEFUNC_ERROR;
    int64_t most = r->transfer->bytes ? r->transfer->bytes : MOST_OF_UNKNOWN;
    if ((int64_t)size > most - r->have) {
        lm_fail(LM_FORMAT, "%s: sends more than %lld bytes", r->transfer->url,
                (long long)most);
        decide(r, LM_TRANSFER_REFUSED);
        return CURL_WRITEFUNC_ERROR;
    }
    return keep(r, bytes, size) ? size : CURL_WRITEFUNC_ERROR;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up) {
    const receiver *r = user;
    const lm_transfer *t = r->transfer;
    return t->watch && !t->watch(t->user, r->have, r->total);
}

/* ---- the end ----------------------------------------------------------------- */

/* What passes by itself. A name that cannot be resolved does not, in general. */
static bool passes(CURLcode code) {
    static const CURLcode codes[] = {
        CURLE_COULDNT_CONNECT, CURLE_PARTIAL_FILE, CURLE_OPERATION_TIMEDOUT,
        CURLE_SEND_ERROR,      CURLE_RECV_ERROR,   CURLE_GOT_NOTHING,
        CURLE_HTTP2,           CURLE_HTTP2_STREAM, CURLE_HTTP3};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (code == codes[i]) return true;
    return false;
}

static void judge_error_code(receiver *r) {
    long code = 0;
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &code);
    lm_fail(code == 404 ? LM_NOT_FOUND : LM_IO, "%s: the server answers %ld",
            r->transfer->url, code);
    if (code == 416 && r->have)
        decide(r, LM_TRANSFER_STALE);
    else if (code == 408 || code == 429 || code >= 500)
        decide(r, LM_TRANSFER_BROKEN);
    else
        decide(r, LM_TRANSFER_REFUSED);
}

static void judge(receiver *r, CURLcode code, const char *detail) {
    const lm_transfer *t = r->transfer;
    if (code == CURLE_OK && !r->begun && !begin(r)) return; /* an empty answer */
    if (code == CURLE_OK && t->bytes && r->have != t->bytes) {
        lm_fail(LM_IO, "%s: ended after %lld of %lld bytes", t->url, (long long)r->have,
                (long long)t->bytes);
        decide(r, LM_TRANSFER_BROKEN);
    } else if (code == CURLE_OK) {
        r->end = LM_TRANSFER_WHOLE;
    } else if (code == CURLE_ABORTED_BY_CALLBACK) {
        r->status = lm_fail(LM_INTERRUPTED,
                            "%s: interrupted; the same command goes on "
                            "from here",
                            t->path);
    } else if (code == CURLE_OUT_OF_MEMORY) {
        r->status = lm_fail(LM_NOMEM, "%s: out of memory", t->url);
    } else if (code == CURLE_HTTP_RETURNED_ERROR) {
        judge_error_code(r);
    } else {
        lm_fail(LM_IO, "%s: %s", t->url, *detail ? detail : curl_easy_strerror(code));
        decide(r, passes(code) ? LM_TRANSFER_BROKEN : LM_TRANSFER_REFUSED);
    }
}

/* ---- the attempt ------------------------------------------------------------- */

static void set_options(receiver *r, char *detail) {
    const lm_transfer *t = r->transfer;
    char range[32], agent[64]; /* libcurl copies its strings */
    snprintf(range, sizeof range, "%lld-", (long long)r->have);
    snprintf(agent, sizeof agent, "limn/%s", lm_version);
    bool tls = strncmp(t->url, "https:", 6) == 0;
    CURL *curl = r->curl;
    curl_easy_setopt(curl, CURLOPT_URL, t->url);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, agent);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, tls ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 8L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)t->stall_seconds);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)t->stall_seconds);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, r);
    /* Not CURLOPT_RESUME_FROM, which fails where the server knows no ranges. */
    if (r->have) curl_easy_setopt(curl, CURLOPT_RANGE, range);
}

static bool library_ready;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void start_library(void) {
    library_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

lm_status lm_transfer_run(const lm_transfer *transfer, lm_transfer_end *end) {
    pthread_once(&library_once, start_library);
    receiver r = {.transfer = transfer, .total = transfer->bytes};
    r.have = lseek(transfer->file, 0, SEEK_END);
    LM_RETURN_IF(r.have < 0, LM_IO, "%s: %s", transfer->path, strerror(errno));
    if (library_ready) r.curl = curl_easy_init();
    LM_RETURN_IF(!r.curl, LM_NOMEM, "%s: libcurl does not start", transfer->url);
    char detail[CURL_ERROR_SIZE] = "";
    set_options(&r, detail);
    CURLcode code = curl_easy_perform(r.curl);
    if (r.status == LM_OK && !r.decided) judge(&r, code, detail);
    curl_easy_cleanup(r.curl);
    *end = r.end;
    return r.status;
}

#else

const bool lm_transfer_possible = false;

lm_status lm_transfer_run(const lm_transfer *transfer, lm_transfer_end *end) {
    return lm_fail(LM_UNSUPPORTED,
                   "%s: this program was built without libcurl: fetch it by hand, or "
                   "install libcurl4-openssl-dev and build again",
                   transfer->url);
}

#endif
