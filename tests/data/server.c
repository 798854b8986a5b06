#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    page *pages;
    int listener, port;
    pthread_t thread;
    atomic_bool ending;
} server;

/* Waits for something to read, at most until the server ends. */
static bool wait_readable(int fd) {
    while (!server.ending) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, 20) > 0) return true;
    }
    return false;
}

static bool send_all(int fd, const void *bytes, size_t size) {
    for (const char *at = bytes; size > 0;) {
        ssize_t put = send(fd, at, size, MSG_NOSIGNAL);
        if (put <= 0) return false;
        at += put;
        size -= (size_t)put;
    }
    return true;
}

static bool read_request(int fd, char *text, size_t size) {
    size_t length = 0;
    while (length + 1 < size && wait_readable(fd)) {
        ssize_t got = recv(fd, text + length, size - 1 - length, 0);
        if (got <= 0) return false;
        length += (size_t)got;
        text[length] = '\0';
        if (strstr(text, "\r\n\r\n")) return true;
    }
    return false;
}

static page *find_page(const char *path) {
    for (page *p = server.pages; p->path; p++)
        if (strcmp(p->path, path) == 0) return p;
    return NULL;
}

static void send_code(int fd, int code, const char *more) {
    char head[512];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 %d Code\r\nContent-Length: 5\r\nConnection: close"
                          "\r\n%s\r\nsorry",
                          code, more);
    send_all(fd, head, (size_t)length);
}

static void send_body(int fd, const page *p, size_t from, bool part, bool bad) {
    char head[512], range[96] = "", length[64] = "";
    size_t size = p->size - from;
    if (part)
        snprintf(range, sizeof range, "Content-Range: bytes %zu-%zu/%zu\r\n", from,
                 p->size - 1, p->size);
    if (!p->no_length) snprintf(length, sizeof length, "Content-Length: %zu\r\n", size);
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %s\r\nContent-Type: %s\r\n%s%sConnection: close\r\n\r\n",
                     part ? "206 Part" : "200 OK",
                     p->type ? p->type : "application/octet-stream", range, length);
    if (bad && p->break_after < size) size = p->break_after;
    if (!send_all(fd, head, (size_t)n) ||
        !send_all(fd, (const char *)p->bytes + from, size))
        return;
    char byte;
    while (bad && p->stalls && wait_readable(fd) && recv(fd, &byte, 1, 0) > 0) {
    }
}

static void answer(int fd) {
    char request[4096], path[256];
    if (!read_request(fd, request, sizeof request)) return;
    if (sscanf(request, "GET %255s ", path) != 1) return;
    page *p = find_page(path);
    if (!p) {
        send_code(fd, 404, "");
        return;
    }
    const char *range = strstr(request, "Range: bytes=");
    p->requests++;
    p->from = range ? strtoul(range + 13, NULL, 10) : 0;
    bool bad = p->failures > 0;
    if (bad) p->failures--;
    if (p->location) {
        char line[512];
        snprintf(line, sizeof line, "Location: %s\r\n", p->location);
        send_code(fd, 302, line);
    } else if (bad && p->code) {
        send_code(fd, p->code, "");
    } else if (range && p->ranges && p->from >= p->size) {
        send_code(fd, 416, "");
    } else {
        bool part = range && p->ranges;
        send_body(fd, p, part ? p->from + (size_t)p->shift : 0, part, bad);
    }
}

static void *serve(void *unused) {
    while (wait_readable(server.listener)) {
        int fd = accept(server.listener, NULL, NULL);
        if (fd < 0) continue;
        answer(fd);
        shutdown(fd, SHUT_RDWR);
        close(fd);
    }
    return NULL;
}

int server_start(page *pages) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server.pages = pages;
    server.ending = false;
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server.listener < 0 ||
        bind(server.listener, (struct sockaddr *)&address, size) != 0 ||
        listen(server.listener, 8) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &size) != 0 ||
        pthread_create(&server.thread, NULL, serve, NULL) != 0) {
        perror("server");
        abort();
    }
    server.port = ntohs(address.sin_port);
    /* Whatever proxies this machine has are not for this machine. */
    setenv("no_proxy", "*", 1);
    return server.port;
}

void server_stop(void) {
    server.ending = true;
    pthread_join(server.thread, NULL);
    close(server.listener);
}

const char *server_url(const char *path) {
    static char urls[4][256];
    static int next;
    char *url = urls[next++ % 4];
    snprintf(url, sizeof urls[0], "http://127.0.0.1:%d%s", server.port, path);
    return url;
}
