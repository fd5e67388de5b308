/* What the tests of the client share: a client on a loop of the test's own, which takes it through
 * the stages of a measurement, and peers that play the server, each on a thread of its own. */
#ifndef PP_TESTS_SUPPORT_CLIENT_SUPPORT_H
#define PP_TESTS_SUPPORT_CLIENT_SUPPORT_H

#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"
#include "client/client.h"
#include "support.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

#define PEERS_MAX 16
#define STAGES_MAX 3
#define TIMES_MAX 1024
#define ALWAYS UINT64_MAX
#define MIB ((size_t)1024 * 1024)

/* One turn of the loop after the other until something has come true; the guard ends what hangs. */
#define RUN_UNTIL(f, condition)                                                                    \
    while (!(condition))                                                                           \
    assert_int_equal(pp_io_loop_run_once((f)->loop), 0)

/* What a peer does once it has given its last answer. */
enum ending {
    READ_ON, /* until the end of the stream, and closes then */
    CLOSE,
    RESET,
    LINGER /* neither reads nor closes until the test says so */
};

/* The server's side of one connection, on a thread of its own: unless it plays something else, it
 * echoes good messages as it should, and answers the next one with last. */
struct peer {
    struct fixture *f;
    unsigned number; /* of its connection */
    pthread_t thread;
    void (*play)(struct peer *peer, int fd); /* a script; fd is not its to close */
    bool accepts; /* plays with one connection after the other, until nobody listens any more */
    uint64_t good;
    const char *last;
    size_t last_bytes;
    enum ending ending;
    bool in_pieces;    /* echoes byte by byte */
    bool holds_back;   /* its last answer until the test says so */
    bool interrupts;   /* the client, after its last answer */
    uint32_t first;    /* how much of the message that it does not echo it waits for; 0: all */
    bool wants_none;   /* it does not wait for a message at all */
    uint64_t pause_ns; /* for its script, as what follows */
    const char *text;
    uint32_t each; /* so many */

    uint64_t bytes;            /* what came from the client */
    uint64_t messages;         /* whole ones */
    uint64_t times[TIMES_MAX]; /* when they came */
    int end;                   /* 0: the end of the stream came; or a negative errno */
    atomic_bool done;          /* set before it closes by itself, or when it has reset */
};

/* A phase of a measurement. */
struct stage {
    uint64_t count; /* 0: by the time alone */
    uint64_t time_ns;
    int64_t start_in_ns; /* its schedule begins so long after it is told to begin, or before */
};

/* What there was when it ended. */
struct outcome {
    struct pp_counts counts;
    uint64_t samples, responses;
    uint64_t start_ns;
};

struct fixture {
    const char *engine;
    struct pp_plan plan;
    struct pp_pattern out, in;
    struct pp_io_loop *loop;
    struct pp_client *client;
    int listen_fd; /* with --udp: the server's socket */
    struct pp_io_addr addr;
    bool from_there; /* the client's own end is addr, too */
    struct pp_hist rtt, response, late;
    struct pp_budget budget;
    struct stage stages[STAGES_MAX];
    struct outcome outcomes[STAGES_MAX];
    unsigned stage_count;
    unsigned begun; /* stages */
    struct peer peers[PEERS_MAX];
    sem_t turns[PEERS_MAX + 1]; /* to accept; nobody takes the last one */
    sem_t go_on[PEERS_MAX + 1];
    unsigned peer_count;
    unsigned joined;

    uint64_t greeting_ns; /* of the time for connecting */
    bool holds_back;      /* does not start when connected */
    bool stays;           /* does not disconnect when finished */
    bool drops;           /* disconnects at once */
    bool lasts;           /* no phase follows a stage */
    bool drops_in_callback;
    struct pp_io_op next_op;
    struct pp_io_op interrupt_op;
    int connected, finished, disconnected; /* calls */
    int descriptors;
};

/* ---- the peers ---- */

static inline void peer_note_message(struct peer *peer)
{
    if (peer->messages < TIMES_MAX)
        peer->times[peer->messages] = pp_clock_now_ns();
    peer->messages++;
}

/* Into data, or away where that is NULL. False at the end of the stream. */
static inline bool peer_read(struct peer *peer, int fd, char *data, uint32_t bytes)
{
    char away[4096];

    while (bytes > 0) {
        const size_t most = data || bytes < sizeof away ? bytes : sizeof away;
        const ssize_t got = recv(fd, data ? data : away, most, 0);

        if (got <= 0) {
            peer->end = got < 0 ? -errno : 0;
            return false;
        }
        peer->bytes += (uint64_t)got;
        bytes -= (uint32_t)got;
        if (data)
            data += got;
    }
    return true;
}

/* What it reads next tells why it could not. */
static inline void peer_write(int fd, const char *data, size_t bytes, bool in_pieces)
{
    while (bytes > 0) {
        const ssize_t sent = send(fd, data, in_pieces ? 1 : bytes, MSG_NOSIGNAL);

        if (sent < 0)
            return;
        data += sent;
        bytes -= (size_t)sent;
    }
}

static inline void peer_write_text(int fd, const char *text)
{
    peer_write(fd, text, strlen(text), false);
}

static inline void peer_wait(struct peer *peer)
{
    (void)sem_wait(&peer->f->go_on[peer->number]);
}

static inline void peer_read_on(struct peer *peer, int fd)
{
    while (peer_read(peer, fd, NULL, UINT32_MAX))
        ;
}

/* Whatever the sizes are. */
static inline void play_echo(struct peer *peer, int fd)
{
    char data[4096];
    ssize_t got;

    while ((got = recv(fd, data, sizeof data, 0)) > 0) {
        peer->bytes += (uint64_t)got;
        peer_write(fd, data, (size_t)got, peer->in_pieces);
    }
    peer->end = got < 0 ? -errno : 0;
}

static inline void peer_end(struct peer *peer, int fd)
{
    switch (peer->ending) {
    case READ_ON:
        peer_read_on(peer, fd);
        break;
    case CLOSE:
        break;
    case RESET:
        reset_connection(fd);
        atomic_store(&peer->done, true);
        return;
    case LINGER:
        peer_wait(peer);
        break;
    }
    atomic_store(&peer->done, true);
    (void)close(fd);
}

static inline void peer_answer_last(struct peer *peer, int fd, uint32_t size)
{
    if (!peer->wants_none && !peer_read(peer, fd, NULL, peer->first ? peer->first : size))
        return;
    if (peer->holds_back)
        peer_wait(peer);
    peer_write(fd, peer->last, peer->last_bytes, false);
    if (peer->interrupts)
        pp_io_wake(peer->f->loop, &peer->f->interrupt_op);
}

static inline void peer_serve(struct peer *peer, int fd)
{
    const uint32_t size = peer->f->plan.request.max;
    char *message = malloc(size);
    bool more = message != NULL;

    while (more && peer->messages < peer->good) {
        more = peer_read(peer, fd, message, size);
        if (!more)
            break;
        peer_note_message(peer);
        peer_write(fd, message, size, peer->in_pieces);
    }
    if (more)
        peer_answer_last(peer, fd, size);
    free(message);
}

static inline void peer_play(struct peer *peer, int fd)
{
    const int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (peer->play)
        peer->play(peer, fd);
    else
        peer_serve(peer, fd);
}

static inline int peer_accept(const struct peer *peer)
{
    return accept4(peer->f->listen_fd, NULL, NULL, SOCK_CLOEXEC);
}

static inline void *peer_main(void *argument)
{
    struct peer *peer = argument;
    int fd;

    if (peer->f->plan.socket.dgram) {
        peer->play(peer, peer->f->listen_fd);
        return NULL;
    }
    if (peer->accepts) {
        while ((fd = peer_accept(peer)) >= 0) {
            peer_play(peer, fd);
            (void)close(fd);
        }
        return NULL;
    }
    (void)sem_wait(&peer->f->turns[peer->number]);
    fd = peer_accept(peer);
    (void)sem_post(&peer->f->turns[peer->number + 1]);
    if (fd < 0)
        return NULL;
    peer_play(peer, fd);
    peer_end(peer, fd);
    return NULL;
}

/* Whoever waits for a connection or a datagram will get none any more. */
static inline void stop_listening(const struct fixture *f)
{
    (void)shutdown(f->listen_fd, SHUT_RDWR);
}

static inline void peers_join(struct fixture *f)
{
    if (f->peer_count > 0 && (f->peers[0].accepts || f->plan.socket.dgram))
        stop_listening(f);
    for (; f->joined < f->peer_count; f->joined++) {
        (void)sem_post(&f->go_on[f->joined]);
        (void)pthread_join(f->peers[f->joined].thread, NULL);
    }
}

static inline struct peer *peer_start(struct fixture *f, struct peer script)
{
    struct peer *peer = &f->peers[f->peer_count];

    assert_true(f->peer_count < PEERS_MAX);
    script.f = f;
    script.number = f->peer_count;
    *peer = script;
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_main, peer), 0);
    f->peer_count++;
    return peer;
}

static inline void echo_peers(struct fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        (void)peer_start(f, (struct peer){ .good = ALWAYS });
}

static inline uint64_t bytes_at_peers(const struct fixture *f)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < f->peer_count; i++)
        bytes += f->peers[i].bytes;
    return bytes;
}

/* ---- the client ---- */

static inline const struct pp_counts *counts_of(const struct fixture *f)
{
    return pp_client_counts(f->client);
}

static inline void begin_stage(struct fixture *f)
{
    const struct stage *stage = &f->stages[f->begun];
    const struct pp_phase phase = {
        .budget = &f->budget,
        .start_ns = pp_clock_now_ns() + (uint64_t)stage->start_in_ns,
        .time_ns = stage->time_ns,
        .last = f->lasts,
    };

    f->outcomes[f->begun++].start_ns = phase.start_ns;
    f->budget.portion = stage->count ? stage->count : 1024;
    atomic_store(&f->budget.left, stage->count ? stage->count : UINT64_MAX);
    pp_client_prepare(f->client);
    pp_client_start(f->client, &phase);
}

static inline void on_connected(void *owner)
{
    struct fixture *f = owner;

    f->connected++;
    if (!f->holds_back)
        pp_io_wake(f->loop, &f->next_op);
}

static inline void on_finished(void *owner)
{
    struct fixture *f = owner;

    f->finished++;
    if (f->begun > 0)
        f->outcomes[f->begun - 1] = (struct outcome){
            .counts = *counts_of(f),
            .samples = f->rtt.total,
            .responses = f->response.total,
            .start_ns = f->outcomes[f->begun - 1].start_ns,
        };
    if (f->drops_in_callback)
        pp_client_disconnect(f->client, false);
    pp_io_wake(f->loop, &f->next_op);
}

static inline void on_disconnected(void *owner)
{
    struct fixture *f = owner;

    f->disconnected++;
    pp_io_cancel(f->loop, &f->next_op);
}

static inline enum pp_io_next on_next(struct pp_io_op *op)
{
    struct fixture *f = container_of(op, struct fixture, next_op);

    if (op->res < 0)
        return PP_IO_DISARM;
    if (f->begun < f->stage_count && f->begun == (unsigned)f->finished)
        begin_stage(f);
    else if (!f->stays && !f->drops_in_callback)
        pp_client_disconnect(f->client, !f->drops);
    return f->disconnected ? PP_IO_DISARM : PP_IO_REARM;
}

static inline enum pp_io_next on_interrupt(struct pp_io_op *op)
{
    struct fixture *f = container_of(op, struct fixture, interrupt_op);

    if (op->res == 0)
        pp_client_interrupt(f->client);
    return PP_IO_DISARM;
}

/* Where nothing else decides on it, no CPU is chosen and no time spent on looking again. */
static inline void plan_init(struct pp_plan *plan, const char *engine)
{
    pp_plan_default(plan, PP_JOB_RUN);
    plan->client_engine = engine;
    plan->wait_auto = false;
    plan->wait = PP_IO_WAIT_BLOCK;
    plan->placement_auto = false;
    plan->placement = PP_PLACEMENT_NONE;
}

static inline int setup(void **state)
{
    struct fixture *f = pp_memory_alloc(1, sizeof *f);

    if (!f)
        return -1;
    f->engine = *state;
    plan_init(&f->plan, f->engine);
    f->listen_fd = -1;
    for (unsigned i = 0; i <= PEERS_MAX; i++)
        if (sem_init(&f->turns[i], 0, i == 0) < 0 || sem_init(&f->go_on[i], 0, 0) < 0)
            return -1;
    *state = f;
    hang_guard_start();
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    bool in_time;

    stop_listening(f);
    pp_client_close(f->client);
    peers_join(f);
    in_time = hang_guard_stop();
    pp_io_loop_close(f->loop);
    if (f->listen_fd >= 0)
        (void)close(f->listen_fd);
    pp_pattern_close(&f->out);
    pp_pattern_close(&f->in);
    for (unsigned i = 0; i <= PEERS_MAX; i++) {
        (void)sem_destroy(&f->turns[i]);
        (void)sem_destroy(&f->go_on[i]);
    }
    pp_memory_free(f);
    return in_time ? 0 : -1;
}

/* As pp_run() chooses what messages are made of. */
static inline void open_patterns(const struct pp_plan *plan, struct pp_pattern *out,
                                 struct pp_pattern *in)
{
    const uint32_t size = plan->request.min == plan->request.max ? plan->request.max : 0;
    struct pp_error err = { 0 };

    if (plan->send.bytes && !plan->socket.dgram)
        assert_int_equal(pp_pattern_open(out, plan->send.text, plan->send.bytes, &err), 0);
    else
        assert_int_equal(pp_pattern_open_random(out, plan->answers ? 1 : size, &err), 0);
    if (plan->expect_how == PP_EXPECT_TEXT)
        assert_int_equal(pp_pattern_open(in, plan->expect.text, plan->expect.bytes, &err), 0);
}

static inline const struct pp_pattern *pattern_in(const struct fixture *f)
{
    if (f->plan.verify != PP_VERIFY_FULL)
        return NULL;
    switch (f->plan.expect_how) {
    case PP_EXPECT_ECHO:
        return &f->out;
    case PP_EXPECT_TEXT:
        return &f->in;
    case PP_EXPECT_BYTES:
    case PP_EXPECT_UNTIL:
        break;
    }
    return NULL;
}

static inline void decide(struct pp_plan *plan)
{
    struct pp_error err = { 0 };

    if (pp_plan_check(plan, &err) < 0 || pp_plan_decide(plan, &err) < 0)
        fail_msg("%s", err.text);
}

/* A server's address, which nobody listens on yet; with --udp it is open. */
static inline void bind_server(struct fixture *f)
{
    const int type = f->plan.socket.dgram ? SOCK_DGRAM : SOCK_STREAM;

    f->addr = loopback();
    f->listen_fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    assert_true(f->listen_fd >= 0);
    if (f->plan.socket.dgram) /* the kernel drops none, however long the peer has no CPU */
        set_option(f->listen_fd, SOL_SOCKET, SO_RCVBUF, 4 << 20);
    assert_int_equal(bind(f->listen_fd, &f->addr.any, f->addr.len), 0);
    assert_int_equal(getsockname(f->listen_fd, &f->addr.any, &f->addr.len), 0);
}

/* Before anything else of a test but filling in the plan. */
static inline void ready(struct fixture *f)
{
    struct pp_io_options options = { .engine = f->engine,
                                     .connections = f->plan.connections,
                                     .buffers = 256,
                                     .buffer_bytes = 256,
                                     .large_buffers = 16,
                                     .large_buffer_bytes = 65536,
                                     .datagram_buffers = 256,
                                     .datagram_bytes = 65536 };
    struct pp_error err = { 0 };

    decide(&f->plan);
    open_patterns(&f->plan, &f->out, &f->in);
    options.wait = f->plan.wait;
    options.spin_ns = f->plan.spin_ns;
    if (pp_io_loop_open(&f->loop, &options, &err) < 0) {
        if (err.kind == PP_ERROR_UNAVAILABLE)
            skip();
        fail_msg("%s: %s", f->engine, err.text);
    }
    bind_server(f);
    f->descriptors = open_descriptors();
}

static inline void open_client(struct fixture *f)
{
    const struct pp_client_options options = {
        .loop = f->loop,
        .transport = f->plan.socket.dgram ? &pp_transport_dgram
                     : f->plan.crr        ? &pp_transport_crr
                                          : &pp_transport_stream,
        .plan = &f->plan,
        .addr = &f->addr,
        .source = f->from_there ? &f->addr : NULL,
        .out = &f->out,
        .in = pattern_in(f),
        .connections = f->plan.connections,
        .shares = 1,
        .rtt = &f->rtt,
        .response = f->plan.rate > 0 ? &f->response : NULL,
        .late = &f->late,
        .owner = f,
        .on_connected = on_connected,
        .on_finished = on_finished,
        .on_disconnected = on_disconnected,
    };
    struct pp_error err = { 0 };

    pp_hist_reset(&f->rtt);
    pp_hist_reset(&f->response);
    pp_hist_reset(&f->late);
    assert_int_equal(pp_client_open(&f->client, &options, &err), 0);
    pp_io_loop_check(f->loop, pp_client_check, f->client);
    pp_io_wake_wait(f->loop, &f->next_op, on_next);
}

static inline void add_stage(struct fixture *f, struct stage stage)
{
    assert_true(f->stage_count < STAGES_MAX);
    f->stages[f->stage_count++] = stage;
}

/* What a test begins with, unless it fills in more of the plan, or wants more than one stage. */
static inline void listen_and_open(struct fixture *f)
{
    if (!f->plan.socket.dgram)
        assert_int_equal(listen(f->listen_fd, 128), 0);
    open_client(f);
}

static inline void prepare(struct fixture *f, uint32_t connections, uint64_t count)
{
    f->plan.connections = connections;
    ready(f);
    add_stage(f, (struct stage){ .count = count });
    listen_and_open(f);
}

static inline void let_interrupt(struct fixture *f)
{
    pp_io_wake_wait(f->loop, &f->interrupt_op, on_interrupt);
}

static inline void check_identity(const struct pp_counts *counts, uint64_t in_flight)
{
    assert_int_equal(counts->sent, counts->received + counts->lost + counts->errors + in_flight);
    assert_true(counts->first_ns <= counts->last_ns);
}

/* What holds after each run. */
static inline void check_books(const struct fixture *f, uint64_t in_flight)
{
    const struct pp_counts *counts = counts_of(f);

    check_identity(counts, in_flight);
    assert_int_equal(f->rtt.total, counts->received + counts->drained);
    assert_int_equal(f->response.total, f->plan.rate > 0 ? counts->received + counts->drained : 0);
    assert_int_equal(pp_client_received(f->client), counts->received);
    assert_int_equal(f->finished, f->stage_count);
}

/* Nothing was lost, nothing failed, and there is not a message more or less. */
static inline void check_whole(const struct fixture *f, uint64_t count)
{
    const struct pp_counts *counts = counts_of(f);

    if (pp_client_error(f->client)->code)
        fail_msg("%s", pp_client_error(f->client)->text);
    assert_int_equal(counts->sent, count);
    assert_int_equal(counts->received, count);
    assert_int_equal(counts->failed_connections, 0);
    check_books(f, 0);
}

/* Runs until nothing is armed any more: that it returns is part of each test. */
static inline void run(struct fixture *f)
{
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_int_equal(f->disconnected, 1);
}

static inline void connect_and_run(struct fixture *f)
{
    pp_client_connect(f->client, f->greeting_ns);
    run(f);
}

/* And everybody has closed what he had open. */
static inline void run_to_the_end(struct fixture *f)
{
    connect_and_run(f);
    peers_join(f);
    assert_int_equal(open_descriptors(), f->descriptors);
}

static inline void check_error(const struct fixture *f, enum pp_error_kind kind, int code,
                               const char *words)
{
    const struct pp_error *err = pp_client_error(f->client);

    assert_int_equal(err->code, code);
    assert_int_equal(err->kind, kind);
    if (!strstr(err->text, words))
        fail_msg("\"%s\" lacks \"%s\"", err->text, words);
}

#endif
