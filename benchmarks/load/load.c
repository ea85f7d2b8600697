/* A native HTTP/1.1 load generator: one thread, epoll, keep-alive connections, requests prepared beforehand.
 *
 * Closed loop: every connection sends its next request as soon as its last one is answered.
 * Open loop:   request k is due at k / rate seconds, whatever the server does, and its latency counts from that moment, so a server that
 *              stalls is charged for every request that it kept waiting (no coordinated omission).
 *
 * The request file is a sequence of (32-bit little-endian length, raw request); it is sent in order, again from its start when it ends.
 * Prints one JSON object. Only answers with a Content-Length are understood; anything else is an error, and so is a lost connection.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define EVENTS 256
#define POLL_MS 20 /* how late the end of a run may be noticed */
#define STATUSES 600

typedef struct { const char *bytes; size_t size; } Request;

typedef struct {
    int fd;                 /* -1: not connected */
    const Request *request; /* NULL: idle */
    int64_t due;            /* when its latency starts to count */
    size_t sent;            /* bytes of the request that are out */
    char *answer;           /* what has come so far, NUL-terminated */
    size_t size, room;
} Connection;

typedef struct {
    int64_t *values; /* nanoseconds */
    size_t count, room;
} Sample;

static struct {
    const char *file;
    struct sockaddr_in address;
    long connections;
    double seconds, rate, drain; /* rate 0: closed loop */
    double most;                 /* seconds after which a run ends, whatever is still open */
    uint64_t count;              /* requests in all; 0: as many as the seconds allow */
    int64_t limit;               /* ns: an answer within it is in time */
} options = {.connections = 16, .seconds = 5, .drain = 10, .most = 900, .limit = SECOND / 10};

static Request *requests;
static size_t request_count;
static Connection *connections;
static long *idle; /* a ring of idle connections, the longest idle first */
static size_t idle_first, idle_count;
static int epoll_fd;
static int64_t start, last_answer;
static uint64_t sent, answered, errors, with_text, without_text, in_time, in_time_with_text, in_time_fresh, statuses[STATUSES];
static Sample latency, refusal, lag;

static int64_t now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * SECOND + at.tv_nsec - start;
}

static void add(Sample *sample, int64_t value) {
    if (sample->count == sample->room) {
        sample->room = sample->room ? 2 * sample->room : 1 << 16;
        if (!(sample->values = realloc(sample->values, sample->room * sizeof *sample->values))) errx(1, "out of memory");
    }
    sample->values[sample->count++] = value;
}

static void read_requests(void) {
    int fd = open(options.file, O_RDONLY);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0) err(1, "%s", options.file);
    if (info.st_size == 0) errx(1, "%s is empty: write at least one request", options.file);
    const char *at = mmap(NULL, info.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (at == MAP_FAILED) err(1, "%s", options.file);
    close(fd);
    for (const char *file = at, *end = at + info.st_size; at < end;) {
        uint32_t size = 0;
        if (end - at > (long)sizeof size) memcpy(&size, at, sizeof size);
        at += sizeof size;
        if (size == 0 || end - at < (long)size) errx(1, "%s is not a request file: it breaks at byte %td", options.file, at - file);
        if ((request_count & (request_count - 1)) == 0) /* a power of two: full */
            requests = realloc(requests, (request_count ? 2 * request_count : 1) * sizeof *requests);
        requests[request_count++] = (Request){at, size};
        at += size;
    }
}

static void watch(Connection *one, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = one - connections};
    if (epoll_ctl(epoll_fd, operation, one->fd, &event) < 0) err(1, "epoll");
}

/* Blocking: the servers measured here are on this machine. Returns 0 when refused. */
static int connected(Connection *one) {
    if (one->fd >= 0) return 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (fd < 0) err(1, "socket");
    if (connect(fd, (struct sockaddr *)&options.address, sizeof options.address) < 0) {
        close(fd);
        return 0;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    one->fd = fd;
    watch(one, EPOLL_CTL_ADD, EPOLLIN);
    return 1;
}

static void rest(Connection *one) {
    one->request = NULL;
    one->size = 0;
    idle[(idle_first + idle_count++) % options.connections] = one - connections;
}

/* The server hung up, or said what we do not understand. An idle connection is only opened again; a request on it is an error. */
static void lost(Connection *one) {
    if (one->fd >= 0) close(one->fd);
    one->fd = -1;
    if (one->request) {
        errors++;
        rest(one);
    }
}

static void send_more(Connection *one) {
    while (one->sent < one->request->size) {
        ssize_t size = send(one->fd, one->request->bytes + one->sent, one->request->size - one->sent, MSG_NOSIGNAL);
        if (size < 0 && errno == EAGAIN) return watch(one, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
        if (size < 0) return lost(one);
        one->sent += size;
    }
}

static void ask(Connection *one, int64_t due) {
    one->request = &requests[sent++ % request_count];
    one->due = due;
    one->sent = 0;
    if (connected(one)) {
        add(&lag, now() - due);
        send_more(one);
    } else {
        lost(one);
    }
}

static void record_answer(Connection *one, int status, const char *body, size_t size) {
    last_answer = now();
    int64_t took = last_answer - one->due;
    int prompt = took <= options.limit;
    int text = status == 200 && memmem(body, size, "\"texts\":[{", 10) != NULL;
    int fresh = text && memmem(body, size, "\"source\":\"fresh\"", 16) != NULL;
    add(status == 503 ? &refusal : &latency, took);
    answered++;
    statuses[status]++;
    in_time += prompt;
    with_text += text;
    in_time_with_text += prompt && text;
    in_time_fresh += prompt && fresh;
    without_text += status == 200 && memmem(body, size, "\"texts\":[]", 10) != NULL;
}

/* Looks at what has come; when the answer is whole, counts it and lets the connection rest. */
static void parse(Connection *one) {
    char *body = strstr(one->answer, "\r\n\r\n");
    if (!body) return;
    body += 4;
    const char *length = strcasestr(one->answer, "\r\ncontent-length:");
    int status = strncmp(one->answer, "HTTP/1.1 ", 9) == 0 ? atoi(one->answer + 9) : 0;
    if (!length || length >= body || status < 200 || status >= STATUSES) return lost(one);
    size_t expected = strtoul(length + 17, NULL, 10), have = one->answer + one->size - body;
    if (have < expected) return;
    record_answer(one, status, body, expected);
    if (have > expected) {
        one->request = NULL; /* counted already; what follows was not asked for */
        lost(one);
    }
    rest(one);
}

static void receive(Connection *one) {
    if (one->room - one->size < 2) {
        one->room = one->room ? 2 * one->room : 16384;
        if (!(one->answer = realloc(one->answer, one->room))) errx(1, "out of memory");
    }
    ssize_t size = recv(one->fd, one->answer + one->size, one->room - one->size - 1, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size > 0 && one->request) {
        one->size += size;
        one->answer[one->size] = '\0';
        parse(one);
    } else {
        lost(one);
    }
}

/* When request k is due. */
static int64_t scheduled(uint64_t k) { return (int64_t)(k / options.rate * SECOND); }

/* How many requests may have been sent by now. */
static uint64_t allowed(int64_t at) {
    uint64_t due = options.rate > 0 ? (uint64_t)((double)at / SECOND * options.rate) + 1 : UINT64_MAX;
    if (options.count) return due < options.count ? due : options.count;
    return at < (int64_t)(options.seconds * SECOND) ? due : sent;
}

static void dispatch(void) {
    int64_t at = now();
    uint64_t most = allowed(at);
    for (size_t turn = idle_count; turn && sent < most; turn--) { /* a refused connection rests again, and must not keep us here */
        Connection *one = &connections[idle[idle_first]];
        idle_first = (idle_first + 1) % options.connections;
        idle_count--;
        ask(one, options.rate > 0 ? scheduled(sent) : now());
    }
}

/* Wakes the loop when the next request is due. */
static void set_timer(int timer) {
    if (options.rate <= 0 || sent >= options.count) return;
    int64_t at = scheduled(sent) + start;
    struct itimerspec when = {.it_value = {.tv_sec = at / SECOND, .tv_nsec = at % SECOND}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* All is answered, or the server has been silent for too long after the last request was due. */
static int finished(void) {
    int64_t at = now(), due = (int64_t)(options.count ? 0 : options.seconds * SECOND);
    if (at > (int64_t)(options.most * SECOND)) return 1;
    if (options.rate > 0) due = scheduled(options.count);
    int all_sent = options.count ? sent >= options.count : at >= due;
    if (all_sent && idle_count == (size_t)options.connections) return 1;
    return at - (due > last_answer ? due : last_answer) > (int64_t)(options.drain * SECOND);
}

static void run(void) {
    struct epoll_event events[EVENTS], timer_event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer, &timer_event);
    start = now();
    while (dispatch(), !finished()) {
        if (idle_count) set_timer(timer);
        int count = epoll_wait(epoll_fd, events, EVENTS, POLL_MS);
        for (int i = 0; i < count; i++) {
            uint64_t expired;
            if (events[i].data.u64 == UINT64_MAX) {
                if (read(timer, &expired, sizeof expired) < 0 && errno != EAGAIN) err(1, "timer");
                continue;
            }
            Connection *one = &connections[events[i].data.u64];
            if (events[i].events & EPOLLOUT && one->fd >= 0 && one->request) {
                watch(one, EPOLL_CTL_MOD, EPOLLIN);
                send_more(one);
            }
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && one->fd >= 0) receive(one);
        }
    }
}

static int ascending(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static double quantile_ms(const Sample *sorted, double share) {
    return sorted->count ? sorted->values[(size_t)(share * (sorted->count - 1))] / 1e6 : 0;
}

static void print_sample(const char *name, Sample *sample) {
    if (sample->count) qsort(sample->values, sample->count, sizeof *sample->values, ascending);
    printf("\"%s\":{\"p50\":%.4f,\"p90\":%.4f,", name, quantile_ms(sample, 0.5), quantile_ms(sample, 0.9));
    printf("\"p99\":%.4f,\"p999\":%.4f,", quantile_ms(sample, 0.99), quantile_ms(sample, 0.999));
    printf("\"max\":%.4f}", quantile_ms(sample, 1));
}

static void print_result(void) {
    uint64_t scheduled_count = options.count > sent ? options.count : sent;
    double elapsed = (double)last_answer / SECOND;
    printf("{\"scheduled\":%lu,\"sent\":%lu,\"answered\":%lu,\"errors\":%lu,", scheduled_count, sent, answered, errors);
    printf("\"with_text\":%lu,\"without_text\":%lu,\"in_time\":%lu,", with_text, without_text, in_time);
    printf("\"in_time_with_text\":%lu,\"in_time_fresh\":%lu,", in_time_with_text, in_time_fresh);
    printf("\"elapsed_s\":%.6f,", elapsed);
    printf("\"per_second\":%.3f,\"statuses\":{", elapsed > 0 ? answered / elapsed : 0);
    for (int status = 0, first = 1; status < STATUSES; status++)
        if (statuses[status]) printf("%s\"%d\":%lu", first-- > 0 ? "" : ",", status, statuses[status]);
    printf("},");
    print_sample("latency_ms", &latency);
    printf(",");
    print_sample("refusal_ms", &refusal);
    printf(",");
    print_sample("lag_ms", &lag);
    puts("}");
}

static void read_options(int argc, char **argv) {
    static const struct option known[] = {
        {"port", 1, 0, 'p'},  {"connections", 1, 0, 'c'}, {"seconds", 1, 0, 's'}, {"rate", 1, 0, 'r'}, {"count", 1, 0, 'n'},
        {"drain", 1, 0, 'd'}, {"limit-ms", 1, 0, 'l'},    {"most", 1, 0, 'm'},    {0},
    };
    options.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int flag; (flag = getopt_long(argc, argv, "", known, NULL)) != -1;) switch (flag) {
            case 'p': options.address.sin_port = htons(atoi(optarg)); break;
            case 'c': options.connections = atol(optarg); break;
            case 's': options.seconds = atof(optarg); break;
            case 'r': options.rate = atof(optarg); break;
            case 'n': options.count = strtoull(optarg, NULL, 10); break;
            case 'd': options.drain = atof(optarg); break;
            case 'm': options.most = atof(optarg); break;
            case 'l': options.limit = (int64_t)(atof(optarg) * 1e6); break;
            default: exit(2);
        }
    if (optind + 1 != argc || options.address.sin_port == 0 || options.connections < 1)
        errx(1, "usage: load --port P [--connections C] [--seconds S] [--rate R] [--count N] [--limit-ms L] [--drain S] [--most S] REQUESTS");
    options.file = argv[optind];
    if (options.rate > 0 && options.count == 0) options.count = (uint64_t)(options.rate * options.seconds);
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    read_requests();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc(options.connections, sizeof *connections);
    idle = calloc(options.connections, sizeof *idle);
    if (!connections || !idle) errx(1, "out of memory for %ld connections", options.connections);
    for (long i = 0; i < options.connections; i++) {
        connections[i].fd = -1;
        if (!connected(&connections[i])) err(1, "cannot connect to port %d", ntohs(options.address.sin_port));
        rest(&connections[i]);
    }
    run();
    print_result();
    return 0;
}
