#include "bench/client.h"

#include "base/container.h"
#include "support.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

#define PEERS_MAX 16
#define ALWAYS UINT64_MAX
#define MIB ((size_t)1024 * 1024)

static const struct pp_wire ping = { .message = "PING\n", .bytes = 5 };

/* What a peer does once it has given its last answer. */
enum ending {
    READ_ON, /* until the end of the stream, and closes then */
    CLOSE,
    RESET,
    LINGER /* neither reads nor closes until the test says so */
};

/* The server's side of one connection, on a thread of its own: echoes good pings as it should, and
 * answers the next one with last. */
struct peer {
    struct fixture *f;
    unsigned number; /* of its connection */
    pthread_t thread;
    uint64_t good;
    const char *last;
    size_t last_bytes;
    enum ending ending;
    bool in_pieces;  /* echoes byte by byte */
    bool holds_back; /* its last answer until the test says so */
    bool interrupts; /* the client, after its last answer */
    uint32_t first;  /* how much of the ping that it does not echo it waits for; 0: all */
    bool wants_none; /* it does not wait for a ping at all */

    uint64_t bytes;   /* what came from the client */
    uint64_t pings;   /* whole ones */
    int end;          /* 0: the end of the stream came; or a negative errno */
    atomic_bool done; /* set before it closes by itself */
};

struct fixture {
    const char *engine;
    struct pp_io_loop *loop;
    struct pp_client *client;
    int listen_fd;
    struct pp_io_addr addr;
    struct pp_wire wire;
    struct pp_hist rtt;
    struct peer peers[PEERS_MAX];
    sem_t turns[PEERS_MAX + 1]; /* to accept; nobody takes the last one */
    sem_t go_on[PEERS_MAX + 1];
    unsigned peer_count;
    unsigned joined;

    bool holds_back; /* does not start when connected */
    bool drops;      /* disconnects at once */
    bool drops_in_callback;
    struct pp_io_op finish_op;
    struct pp_io_op interrupt_op;
    int connected, finished, disconnected; /* calls */
    int descriptors;
};

/* ---- the peers ---- */

/* False at the end of the stream. */
static bool peer_read(struct peer *peer, int fd, uint32_t bytes)
{
    char data[4096];

    while (bytes > 0) {
        const ssize_t got = recv(fd, data, bytes < sizeof data ? bytes : sizeof data, 0);

        if (got <= 0) {
            peer->end = got < 0 ? -errno : 0;
            return false;
        }
        peer->bytes += (uint64_t)got;
        bytes -= (uint32_t)got;
    }
    return true;
}

static void peer_write(int fd, const char *data, size_t bytes, bool in_pieces)
{
    while (bytes > 0) {
        const ssize_t sent = send(fd, data, in_pieces ? 1 : bytes, MSG_NOSIGNAL);

        if (sent < 0)
            return; /* what it reads next tells why */
        data += sent;
        bytes -= (size_t)sent;
    }
}

static void peer_end(struct peer *peer, int fd)
{
    switch (peer->ending) {
    case READ_ON:
        while (peer_read(peer, fd, 4096))
            ;
        break;
    case CLOSE:
        break;
    case RESET:
        reset_connection(fd);
        return;
    case LINGER:
        (void)sem_wait(&peer->f->go_on[peer->number]);
        break;
    }
    atomic_store(&peer->done, true);
    (void)close(fd);
}

static void peer_serve(struct peer *peer, int fd)
{
    const struct pp_wire *wire = &peer->f->wire;

    while (peer->pings < peer->good) {
        if (!peer_read(peer, fd, wire->bytes))
            return;
        peer->pings++;
        peer_write(fd, wire->message, wire->bytes, peer->in_pieces);
    }
    if (!peer->wants_none && !peer_read(peer, fd, peer->first ? peer->first : wire->bytes))
        return;
    if (peer->holds_back)
        (void)sem_wait(&peer->f->go_on[peer->number]);
    peer_write(fd, peer->last, peer->last_bytes, false);
    if (peer->interrupts)
        pp_io_wake(peer->f->loop, &peer->f->interrupt_op);
}

static void *peer_main(void *argument)
{
    struct peer *peer = argument;
    const int one = 1;
    int fd;

    (void)sem_wait(&peer->f->turns[peer->number]);
    fd = accept4(peer->f->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    (void)sem_post(&peer->f->turns[peer->number + 1]);
    if (fd < 0)
        return NULL;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    peer_serve(peer, fd);
    peer_end(peer, fd);
    return NULL;
}

static void peers_join(struct fixture *f)
{
    for (; f->joined < f->peer_count; f->joined++) {
        (void)sem_post(&f->go_on[f->joined]);
        (void)pthread_join(f->peers[f->joined].thread, NULL);
    }
}

static struct peer *peer_start(struct fixture *f, struct peer script)
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

static void echo_peers(struct fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        (void)peer_start(f, (struct peer){ .good = ALWAYS });
}

static uint64_t bytes_at_peers(const struct fixture *f)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < f->peer_count; i++)
        bytes += f->peers[i].bytes;
    return bytes;
}

/* ---- the client ---- */

static void on_connected(void *owner)
{
    struct fixture *f = owner;

    f->connected++;
    if (!f->holds_back)
        pp_client_start(f->client);
}

static void on_finished(void *owner)
{
    struct fixture *f = owner;

    f->finished++;
    if (f->drops_in_callback)
        pp_client_disconnect(f->client, false);
    pp_io_wake(f->loop, &f->finish_op);
}

static void on_disconnected(void *owner)
{
    struct fixture *f = owner;

    f->disconnected++;
}

static enum pp_io_next on_finish(struct pp_io_op *op)
{
    struct fixture *f = container_of(op, struct fixture, finish_op);

    if (!f->drops_in_callback)
        pp_client_disconnect(f->client, !f->drops);
    return PP_IO_DISARM;
}

static enum pp_io_next on_interrupt(struct pp_io_op *op)
{
    struct fixture *f = container_of(op, struct fixture, interrupt_op);

    pp_client_interrupt(f->client);
    return PP_IO_DISARM;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (!f)
        return -1;
    f->engine = *state;
    f->wire = ping;
    f->listen_fd = -1;
    for (unsigned i = 0; i <= PEERS_MAX; i++)
        if (sem_init(&f->turns[i], 0, i == 0) < 0 || sem_init(&f->go_on[i], 0, 0) < 0)
            return -1;
    *state = f;
    hang_guard_start();
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bool in_time;

    (void)shutdown(f->listen_fd, SHUT_RDWR); /* nobody else will come */
    pp_client_close(f->client);
    peers_join(f);
    in_time = hang_guard_stop();
    pp_io_loop_close(f->loop);
    (void)close(f->listen_fd);
    for (unsigned i = 0; i <= PEERS_MAX; i++) {
        (void)sem_destroy(&f->turns[i]);
        (void)sem_destroy(&f->go_on[i]);
    }
    free(f);
    return in_time ? 0 : -1;
}

/* Before anything else of a test. */
static void ready(struct fixture *f)
{
    f->loop = open_loop(f->engine, 64, 256);
    f->addr = loopback();
    f->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(f->listen_fd >= 0);
    assert_int_equal(bind(f->listen_fd, &f->addr.any, f->addr.len), 0);
    assert_int_equal(getsockname(f->listen_fd, &f->addr.any, &f->addr.len), 0);
    f->descriptors = open_descriptors();
}

static void open_client(struct fixture *f, uint32_t connections, uint64_t count)
{
    const struct pp_client_options options = {
        .loop = f->loop,
        .addr = &f->addr,
        .connections = connections,
        .count = count,
        .wire = f->wire,
        .rtt = &f->rtt,
        .owner = f,
        .on_connected = on_connected,
        .on_finished = on_finished,
        .on_disconnected = on_disconnected,
    };
    struct pp_error err = { 0 };

    pp_hist_reset(&f->rtt);
    assert_int_equal(pp_client_open(&f->client, &options, &err), 0);
    pp_io_wake_wait(f->loop, &f->finish_op, on_finish);
}

static void let_interrupt(struct fixture *f)
{
    pp_io_wake_wait(f->loop, &f->interrupt_op, on_interrupt);
}

/* sent = received + errors + in flight, and what else holds after each run. */
static void check_books(const struct fixture *f, uint64_t in_flight)
{
    const struct pp_client_counts *counts = pp_client_counts(f->client);

    assert_int_equal(counts->sent, counts->received + counts->errors + in_flight);
    assert_int_equal(f->rtt.total, counts->received);
    assert_true(counts->first_ns <= counts->last_ns);
    assert_int_equal(f->finished, 1);
}

/* Runs until nothing is armed any more: that it returns is part of each test. */
static void run(struct fixture *f)
{
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_int_equal(f->disconnected, 1);
}

static void connect_and_run(struct fixture *f)
{
    pp_client_connect(f->client);
    run(f);
}

/* And everybody has closed what he had open. */
static void run_to_the_end(struct fixture *f)
{
    connect_and_run(f);
    peers_join(f);
    assert_int_equal(open_descriptors(), f->descriptors);
}

static void listen_and_open(struct fixture *f, uint32_t connections, uint64_t count)
{
    assert_int_equal(listen(f->listen_fd, PEERS_MAX), 0);
    open_client(f, connections, count);
}

static void check_error(const struct fixture *f, enum pp_error_kind kind, int code,
                        const char *words)
{
    const struct pp_error *err = pp_client_error(f->client);

    assert_int_equal(err->code, code);
    assert_int_equal(err->kind, kind);
    if (!strstr(err->text, words))
        fail_msg("\"%s\" lacks \"%s\"", err->text, words);
}

/* ---- counting ---- */

static void check_exact(struct fixture *f, uint32_t connections, uint64_t count)
{
    const struct pp_client_counts *counts;

    ready(f);
    listen_and_open(f, connections, count);
    echo_peers(f, connections);
    run_to_the_end(f);
    counts = pp_client_counts(f->client);
    assert_int_equal(counts->sent, count);
    assert_int_equal(counts->received, count);
    assert_int_equal(counts->errors, 0);
    assert_int_equal(counts->failed_connections, 0);
    assert_int_equal(pp_client_error(f->client)->code, 0);
    assert_int_equal(f->connected, 1);
    assert_int_equal(bytes_at_peers(f), count * f->wire.bytes); /* and not a ping beyond */
    check_books(f, 0);
}

static void test_one_connection_makes_the_exact_count_and_no_ping_beyond_it(void **state)
{
    check_exact(*state, 1, 1000);
}

static void test_one_round_trip_is_one_ping(void **state)
{
    check_exact(*state, 1, 1);
}

static void test_connections_share_the_exact_count(void **state)
{
    check_exact(*state, 7, 1000);
}

static void test_connections_that_have_nothing_to_do_stay_silent(void **state)
{
    struct fixture *f = *state;

    check_exact(f, 8, 3);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(f->peers[i].bytes, i < 3 ? f->wire.bytes : 0);
}

static void test_a_pong_in_single_bytes_is_one_pong(void **state)
{
    struct fixture *f = *state;

    ready(f);
    listen_and_open(f, 1, 100);
    (void)peer_start(f, (struct peer){ .good = ALWAYS, .in_pieces = true });
    run_to_the_end(f);
    assert_int_equal(pp_client_counts(f->client)->received, 100);
    assert_int_equal(pp_client_error(f->client)->code, 0);
    check_books(f, 0);
}

static void test_a_ping_larger_than_any_buffer_goes_round_whole(void **state)
{
    struct fixture *f = *state;
    char *message = malloc(3 * MIB);

    assert_non_null(message);
    for (uint32_t i = 0; i < 3 * MIB; i++)
        message[i] = (char)((i * UINT32_C(0x9e3779b1)) >> 24);
    f->wire = (struct pp_wire){ .message = message, .bytes = 3 * MIB };
    check_exact(f, 2, 5);
    free(message);
}

/* ---- wrong answers ---- */

struct wrong {
    uint64_t good; /* round trips before it */
    const char *answer;
    const char *words;
};

static void check_wrong(struct fixture *f, const struct wrong *wrong)
{
    ready(f);
    listen_and_open(f, 1, 100);
    (void)peer_start(f, (struct peer){ .good = wrong->good,
                                       .last = wrong->answer,
                                       .last_bytes = strlen(wrong->answer) });
    run_to_the_end(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG, wrong->words);
    assert_int_equal(pp_client_counts(f->client)->received, wrong->good);
    check_books(f, 1);
}

static void test_a_wrong_first_byte_of_the_first_pong_is_found(void **state)
{
    check_wrong(*state, &(struct wrong){ 0, "pING\n",
                                         "byte 1 of round trip 1 came back as 0x70 instead of "
                                         "0x50" });
}

static void test_a_wrong_last_byte_of_a_later_pong_is_found(void **state)
{
    check_wrong(*state, &(struct wrong){ 41, "PING\r",
                                         "byte 5 of round trip 42 came back as 0x0d instead of "
                                         "0x0a" });
}

static void test_a_wrong_byte_with_the_high_bit_is_printed_as_one_byte(void **state)
{
    check_wrong(*state, &(struct wrong){ 1, "PI\xffG\n",
                                         "byte 3 of round trip 2 came back as 0xff instead of "
                                         "0x4e" });
}

static void test_a_wrong_byte_in_an_unfinished_pong_is_found(void **state)
{
    check_wrong(*state, &(struct wrong){ 2, "PX", "byte 2 of round trip 3 " });
}

static void test_two_pongs_for_one_ping_are_too_much(void **state)
{
    check_wrong(*state, &(struct wrong){ 3, "PING\nPING\n", "more came back than was sent" });
}

static void test_a_pong_and_the_beginning_of_another_are_too_much(void **state)
{
    check_wrong(*state, &(struct wrong){ 3, "PING\nP", "more came back than was sent" });
}

static void test_more_than_the_last_pong_is_too_much(void **state)
{
    check_wrong(*state, &(struct wrong){ 99, "PING\nPI", "more came back than was sent" });
}

static void test_a_pong_without_a_ping_is_too_much(void **state)
{
    struct fixture *f = *state;

    ready(f);
    f->holds_back = true; /* not one ping is sent */
    listen_and_open(f, 2, 100);
    (void)peer_start(f, (struct peer){ .good = ALWAYS });
    (void)peer_start(f, (struct peer){ .last = "PING\n", .last_bytes = 5, .wants_none = true });
    run_to_the_end(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG, "more came back than was sent");
    assert_int_equal(pp_client_counts(f->client)->sent, 0);
    assert_int_equal(bytes_at_peers(f), 0);
    check_books(f, 0);
}

/* ---- broken connections ---- */

/* Ten connections, one of which breaks in the middle of its first pong. */
static void check_one_breaks(struct fixture *f, enum ending ending, const char *words, int code)
{
    const struct pp_client_counts *counts;

    ready(f);
    listen_and_open(f, 10, 2000);
    echo_peers(f, 9);
    (void)peer_start(f, (struct peer){ .last = "PI", .last_bytes = 2, .ending = ending });
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, code, words);
    counts = pp_client_counts(f->client);
    assert_int_equal(counts->failed_connections, 1);
    assert_int_equal(counts->errors, 1);
    assert_int_equal(counts->received, 1999);
    assert_int_equal(counts->sent, 2000);
    assert_int_equal(bytes_at_peers(f), 2000 * 5);
    check_books(f, 0);
}

static void test_when_a_peer_closes_in_mid_message_the_others_go_on(void **state)
{
    check_one_breaks(*state, CLOSE, "the server closed it", -ENODATA);
}

static void test_when_a_peer_resets_in_mid_message_the_others_go_on(void **state)
{
    check_one_breaks(*state, RESET, "Connection reset by peer", -ECONNRESET);
}

static void test_when_every_connection_breaks_the_measurement_ends(void **state)
{
    struct fixture *f = *state;
    const struct pp_client_counts *counts;

    ready(f);
    listen_and_open(f, 4, 1000000000);
    for (uint64_t i = 0; i < 4; i++)
        (void)peer_start(f, (struct peer){ .good = 10 * i, .ending = CLOSE });
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ENODATA, "a connection broke");
    counts = pp_client_counts(f->client);
    assert_int_equal(counts->failed_connections, 4);
    assert_int_equal(counts->errors, 4);
    assert_int_equal(counts->received, 0 + 10 + 20 + 30);
    check_books(f, 0);
}

static void test_a_connection_that_breaks_while_it_is_idle_loses_no_round_trip(void **state)
{
    struct fixture *f = *state;
    const struct pp_client_counts *counts;

    ready(f);
    listen_and_open(f, 2, 1);
    (void)peer_start(f, (struct peer){ .holds_back = true, .last = "PING\n", .last_bytes = 5 });
    (void)peer_start(f, (struct peer){ .wants_none = true, .ending = CLOSE });
    counts = pp_client_counts(f->client);
    pp_client_connect(f->client);
    while (counts->failed_connections == 0)
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
    assert_int_equal(f->finished, 0);
    (void)sem_post(&f->go_on[0]);
    run(f);
    assert_int_equal(counts->received, 1);
    assert_int_equal(counts->errors, 0);
    assert_int_equal(counts->failed_connections, 1);
    check_error(f, PP_ERROR_RUN, -ENODATA, "a connection broke");
    check_books(f, 0);
}

static void test_when_the_last_ping_of_all_is_lost_the_measurement_ends(void **state)
{
    struct fixture *f = *state;
    const struct pp_client_counts *counts;

    ready(f);
    listen_and_open(f, 2, 2);
    echo_peers(f, 1);
    (void)peer_start(f, (struct peer){ .holds_back = true, .ending = CLOSE });
    counts = pp_client_counts(f->client);
    pp_client_connect(f->client);
    while (counts->received == 0)
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
    assert_int_equal(f->finished, 0);
    (void)sem_post(&f->go_on[1]);
    run(f);
    assert_int_equal(counts->received, 1);
    assert_int_equal(counts->errors, 1);
    assert_int_equal(counts->failed_connections, 1);
    check_books(f, 0);
}

static void test_an_error_says_how_far_the_run_got_and_with_whom(void **state)
{
    struct fixture *f = *state;
    char addr[PP_IO_ADDR_TEXT_BYTES];

    ready(f);
    listen_and_open(f, 1, 100);
    (void)peer_start(f, (struct peer){ .good = 17, .ending = CLOSE });
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ENODATA, "after 17 of 100 round trips");
    check_error(f, PP_ERROR_RUN, -ENODATA, pp_io_addr_format(&f->addr, addr));
}

static void check_refused(struct fixture *f, uint32_t connections)
{
    const struct pp_client_counts *counts;

    ready(f); /* the port is bound, and nobody listens */
    open_client(f, connections, 100);
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ECONNREFUSED, "cannot connect to 127.0.0.1:");
    check_error(f, PP_ERROR_RUN, -ECONNREFUSED, "Connection refused; is the server still there?");
    counts = pp_client_counts(f->client);
    assert_int_equal(counts->sent, 0);
    assert_int_equal(f->connected, 0);
    check_books(f, 0);
}

static void test_a_refused_connection_ends_the_run(void **state)
{
    check_refused(*state, 1);
}

static void test_many_refused_connections_end_the_run_once(void **state)
{
    check_refused(*state, 300);
}

static void test_what_the_owner_says_went_wrong_is_the_error(void **state)
{
    struct fixture *f = *state;

    ready(f);
    listen_and_open(f, 2, 100);
    echo_peers(f, 2);
    pp_client_connect(f->client);
    pp_client_fail(f->client, PP_ERROR_RUN, -ETIMEDOUT, "nothing moves: 100 %");
    pp_client_fail(f->client, PP_ERROR_UNAVAILABLE, -EIO, "a consequence");
    run(f);
    check_error(f, PP_ERROR_RUN, -ETIMEDOUT, "nothing moves: 100 %");
    check_books(f, 0);
}

/* ---- interrupting ---- */

static void test_an_interrupt_leaves_what_is_under_way_in_flight(void **state)
{
    struct fixture *f = *state;
    const struct pp_client_counts *counts;

    ready(f);
    listen_and_open(f, 3, 1000000000);
    for (int i = 0; i < 2; i++)
        (void)peer_start(f, (struct peer){ .good = 0 });
    (void)peer_start(f, (struct peer){ .good = 50, .interrupts = true });
    let_interrupt(f);
    run_to_the_end(f);
    counts = pp_client_counts(f->client);
    assert_int_equal(counts->received, 50);
    assert_int_equal(counts->sent, 53);
    assert_int_equal(counts->errors, 0);
    assert_int_equal(pp_client_error(f->client)->code, 0);
    assert_int_equal(bytes_at_peers(f), 53 * 5);
    check_books(f, 3);
}

static void test_an_interrupt_before_the_connections_stand_ends_the_run(void **state)
{
    struct fixture *f = *state;

    ready(f);
    listen_and_open(f, 4, 100);
    echo_peers(f, 4);
    pp_client_connect(f->client);
    pp_client_interrupt(f->client);
    pp_client_interrupt(f->client);
    run(f);
    assert_int_equal(f->connected, 0);
    assert_int_equal(pp_client_counts(f->client)->sent, 0);
    assert_int_equal(pp_client_error(f->client)->code, 0);
    check_books(f, 0);
}

/* ---- disconnecting ---- */

static void test_to_disconnect_politely_waits_for_the_peer_to_close(void **state)
{
    struct fixture *f = *state;

    ready(f);
    listen_and_open(f, 4, 100);
    echo_peers(f, 4);
    connect_and_run(f);
    for (int i = 0; i < 4; i++)
        assert_true(atomic_load(&f->peers[i].done));
    peers_join(f);
    for (int i = 0; i < 4; i++)
        assert_int_equal(f->peers[i].end, 0); /* the stream ended, it was not reset */
}

static void test_to_disconnect_politely_finishes_the_ping_that_is_under_way(void **state)
{
    struct fixture *f = *state;
    char *message = calloc(1, 16 * MIB);

    assert_non_null(message);
    f->wire = (struct pp_wire){ .message = message, .bytes = 16 * MIB };
    ready(f);
    listen_and_open(f, 1, 100);
    (void)peer_start(f, (struct peer){ .first = 1, .interrupts = true });
    let_interrupt(f);
    run_to_the_end(f);
    assert_int_equal(bytes_at_peers(f), 16 * MIB);
    assert_int_equal(f->peers[0].end, 0);
    check_books(f, 1);
    free(message);
}

static void test_to_disconnect_at_once_does_not_wait_for_the_peer(void **state)
{
    struct fixture *f = *state;

    ready(f);
    f->drops = true;
    listen_and_open(f, 4, 100);
    for (int i = 0; i < 3; i++)
        (void)peer_start(f, (struct peer){ .ending = LINGER });
    (void)peer_start(f, (struct peer){ .ending = LINGER, .good = 10, .interrupts = true });
    let_interrupt(f);
    connect_and_run(f);
    for (int i = 0; i < 4; i++)
        assert_false(atomic_load(&f->peers[i].done));
    check_books(f, 4);
}

static void test_to_disconnect_at_once_may_follow_where_politely_takes_too_long(void **state)
{
    struct fixture *f = *state;

    ready(f);
    listen_and_open(f, 3, 100);
    for (int i = 0; i < 2; i++)
        (void)peer_start(f, (struct peer){ .ending = LINGER });
    (void)peer_start(f, (struct peer){ .ending = LINGER, .good = 10, .interrupts = true });
    let_interrupt(f);
    pp_client_connect(f->client);
    while (f->finished == 0)
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
    for (int i = 0; i < 20; i++) /* politely */
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    assert_int_equal(f->disconnected, 0);
    pp_client_disconnect(f->client, false);
    run(f);
    for (int i = 0; i < 3; i++)
        assert_false(atomic_load(&f->peers[i].done));
    check_books(f, 3);
}

/* A ping too large for the sockets, of which the peer takes only the beginning. */
static void stuck_ping(struct fixture *f, struct peer script)
{
    static char message[16 * MIB];

    script.first = 1;
    script.ending = LINGER;
    f->wire = (struct pp_wire){ .message = message, .bytes = sizeof message };
    ready(f);
    f->drops = true;
    listen_and_open(f, 1, 100);
    (void)peer_start(f, script);
}

static void test_to_disconnect_at_once_drops_a_ping_that_is_under_way(void **state)
{
    struct fixture *f = *state;

    stuck_ping(f, (struct peer){ .interrupts = true });
    let_interrupt(f);
    connect_and_run(f);
    assert_false(atomic_load(&f->peers[0].done));
    check_books(f, 1);
}

static void test_an_early_wrong_pong_ends_the_run_while_its_ping_is_under_way(void **state)
{
    struct fixture *f = *state;

    stuck_ping(f, (struct peer){ .last = "X", .last_bytes = 1 });
    connect_and_run(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG, "byte 1 of round trip 1");
    check_books(f, 1);
}

static void test_to_disconnect_when_told_of_the_end_leaves_nothing_armed(void **state)
{
    struct fixture *f = *state;

    f->drops_in_callback = true;
    stuck_ping(f, (struct peer){ .last = "X", .last_bytes = 1 });
    connect_and_run(f);
    assert_false(atomic_load(&f->peers[0].done));
    check_books(f, 1);
}

static void test_a_client_whose_loop_never_ran_closes_its_connections(void **state)
{
    struct fixture *f = *state;
    const int before = open_descriptors();

    ready(f);
    listen_and_open(f, 4, 100);
    pp_client_connect(f->client);
    pp_io_loop_close(f->loop);
    f->loop = NULL;
    pp_client_close(f->client);
    f->client = NULL;
    assert_int_equal(open_descriptors(), before + 1); /* the listener */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_one_connection_makes_the_exact_count_and_no_ping_beyond_it),
        ON_EACH_ENGINE(test_one_round_trip_is_one_ping),
        ON_EACH_ENGINE(test_connections_share_the_exact_count),
        ON_EACH_ENGINE(test_connections_that_have_nothing_to_do_stay_silent),
        ON_EACH_ENGINE(test_a_pong_in_single_bytes_is_one_pong),
        ON_EACH_ENGINE(test_a_ping_larger_than_any_buffer_goes_round_whole),
        ON_EACH_ENGINE(test_a_wrong_first_byte_of_the_first_pong_is_found),
        ON_EACH_ENGINE(test_a_wrong_last_byte_of_a_later_pong_is_found),
        ON_EACH_ENGINE(test_a_wrong_byte_with_the_high_bit_is_printed_as_one_byte),
        ON_EACH_ENGINE(test_a_wrong_byte_in_an_unfinished_pong_is_found),
        ON_EACH_ENGINE(test_two_pongs_for_one_ping_are_too_much),
        ON_EACH_ENGINE(test_a_pong_and_the_beginning_of_another_are_too_much),
        ON_EACH_ENGINE(test_more_than_the_last_pong_is_too_much),
        ON_EACH_ENGINE(test_a_pong_without_a_ping_is_too_much),
        ON_EACH_ENGINE(test_when_a_peer_closes_in_mid_message_the_others_go_on),
        ON_EACH_ENGINE(test_when_a_peer_resets_in_mid_message_the_others_go_on),
        ON_EACH_ENGINE(test_when_every_connection_breaks_the_measurement_ends),
        ON_EACH_ENGINE(test_a_connection_that_breaks_while_it_is_idle_loses_no_round_trip),
        ON_EACH_ENGINE(test_when_the_last_ping_of_all_is_lost_the_measurement_ends),
        ON_EACH_ENGINE(test_an_error_says_how_far_the_run_got_and_with_whom),
        ON_EACH_ENGINE(test_a_refused_connection_ends_the_run),
        ON_EACH_ENGINE(test_many_refused_connections_end_the_run_once),
        ON_EACH_ENGINE(test_what_the_owner_says_went_wrong_is_the_error),
        ON_EACH_ENGINE(test_an_interrupt_leaves_what_is_under_way_in_flight),
        ON_EACH_ENGINE(test_an_interrupt_before_the_connections_stand_ends_the_run),
        ON_EACH_ENGINE(test_to_disconnect_politely_waits_for_the_peer_to_close),
        ON_EACH_ENGINE(test_to_disconnect_politely_finishes_the_ping_that_is_under_way),
        ON_EACH_ENGINE(test_to_disconnect_at_once_does_not_wait_for_the_peer),
        ON_EACH_ENGINE(test_to_disconnect_at_once_may_follow_where_politely_takes_too_long),
        ON_EACH_ENGINE(test_to_disconnect_at_once_drops_a_ping_that_is_under_way),
        ON_EACH_ENGINE(test_an_early_wrong_pong_ends_the_run_while_its_ping_is_under_way),
        ON_EACH_ENGINE(test_to_disconnect_when_told_of_the_end_leaves_nothing_armed),
        ON_EACH_ENGINE(test_a_client_whose_loop_never_ran_closes_its_connections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
