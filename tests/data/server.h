/* A web server in a thread of the test, on an ephemeral port of this machine, which
 * serves what the test says as badly as it says. One connection at a time. */
#ifndef LIMN_TESTS_DATA_SERVER_H
#define LIMN_TESTS_DATA_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A page; zeros are the well-behaved server. */
typedef struct page {
    const char *path; /* "/a.bin" */
    const void *bytes;
    size_t size;
    bool ranges;          /* answers a Range by that part, else by the whole */
    bool no_length;       /* does not say how much there is */
    int shift;            /* parts begin so many bytes further than asked for */
    int failures;         /* so many answers are bad: */
    int code;             /*   this code, */
    size_t break_after;   /*   or an end after so many bytes of the body, */
    bool stalls;          /*   or no end after these */
    const char *location; /* where it redirects to */
    const char *type;     /* Content-Type, NULL: application/octet-stream */
    int requests;         /* counted */
    size_t from;          /* first byte that the latest request asked for */
} page;

/* `pages` end with path NULL and stay the test's; returns the port. */
int server_start(page *pages);
void server_stop(void);

/* "http://127.0.0.1:PORT" PATH; four results are valid at a time. */
const char *server_url(const char *path);

#endif
