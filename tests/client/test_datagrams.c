#include "client_support.h"

#include "wire/datagram.h"

#include <dirent.h>
#include <poll.h>

#define BYTES_MAX 65536

/* A request as the peer got it. */
struct request {
    struct pp_io_addr from;
    struct pp_datagram header;
    uint32_t bytes;
    char data[BYTES_MAX];
};

/* ---- the peer ---- */

/* False when nobody sends any more. */
static bool receive(struct peer *peer, int fd, struct request *request)
{
    ssize_t got;

    request->from.len = sizeof request->from.un;
    got = recvfrom(fd, request->data, sizeof request->data, 0, &request->from.any,
                   &request->from.len);
    if (got <= 0)
        return false;
    request->bytes = (uint32_t)got;
    peer->bytes += (uint64_t)got;
    if (!pp_datagram_read(&request->header, request->data, request->bytes) ||
        request->header.kind != PP_DATAGRAM_REQUEST)
        peer->text = "not a request";
    peer_note_message(peer);
    return true;
}

static void send_to(int fd, const struct request *request, const char *data, size_t bytes)
{
    (void)sendto(fd, data, bytes, 0, &request->from.any, request->from.len);
}

static void answer(int fd, struct request *request)
{
    pp_datagram_turn(request->data, PP_DATAGRAM_REPLY);
    send_to(fd, request, request->data, request->header.reply_bytes);
}

/* A reply to some other request, with the body of this one. */
static void answer_as(int fd, struct request *request, enum pp_datagram_kind kind, uint64_t number)
{
    const struct pp_datagram header = { .kind = kind, .number = number };

    pp_datagram_write(&header, request->data);
    send_to(fd, request, request->data, request->bytes);
}

static void play_answer(struct peer *peer, int fd)
{
    struct request request;

    while (receive(peer, fd, &request))
        answer(fd, &request);
}

/* Messages from 0 on: the first one is never an odd one, so that the client knows how long to
 * wait. */
static bool is_odd_one(const struct peer *peer)
{
    return peer->messages % peer->each == 0;
}

/* ---- the client ---- */

static void plan_datagrams(struct fixture *f, uint32_t bytes)
{
    f->plan.socket.dgram = true;
    f->plan.sizes_given = true;
    f->plan.request = f->plan.response = pp_sizes_of(bytes);
}

static void prepare_datagrams(struct fixture *f, uint32_t connections, uint64_t count)
{
    if (!f->plan.socket.dgram)
        plan_datagrams(f, 64);
    prepare(f, connections, count);
}

/* How long this process's threads that live have waited for a CPU. */
static uint64_t waited_ns(void)
{
    struct dirent *task;
    uint64_t sum_ns = 0;
    DIR *tasks = opendir("/proc/self/task");

    while (tasks && (task = readdir(tasks))) {
        char path[300], line[100] = "";
        unsigned long long waited = 0;
        FILE *file;

        (void)snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task->d_name);
        file = fopen(path, "r");
        if (file && fgets(line, sizeof line, file) && sscanf(line, "%*u %llu", &waited) == 1)
            sum_ns += waited;
        if (file)
            (void)fclose(file);
    }
    if (tasks)
        (void)closedir(tasks);
    return sum_ns;
}

/* Nobody waits for an answer for longer than a second, which it may take a machine that has many
 * times more to do than it has CPUs: there the threads that can be asked have waited, too, though
 * the kernel's own, which deliver datagrams, have waited for longer. */
#define WAITED_TOO_LONG_NS (PP_NS_PER_S / 20)

static void leave(struct fixture *f);

/* To the end of the last phase, by which so many are answered. */
static void run_until_received(struct fixture *f, uint64_t received)
{
    const uint64_t before_ns = waited_ns();

    f->stays = true;
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, pp_client_error(f->client)->code || (unsigned)f->finished == f->stage_count);
    if (counts_of(f)->received >= received || waited_ns() < before_ns + WAITED_TOO_LONG_NS)
        return;
    leave(f);
    skip();
}

static void leave(struct fixture *f)
{
    pp_client_disconnect(f->client, true);
    run(f);
    peers_join(f);
    assert_null(f->peers[0].text);
    assert_int_equal(open_descriptors(), f->descriptors);
}

/* count messages, of which so many are answered in the end. */
static const struct pp_counts *check_run(struct fixture *f, const struct peer *peer,
                                         uint32_t connections, uint64_t count, uint64_t received)
{
    f->lasts = true; /* answers that a busy machine holds back are waited for */
    prepare_datagrams(f, connections, count);
    (void)peer_start(f, *peer);
    run_until_received(f, received);
    leave(f);
    if (pp_client_error(f->client)->code)
        fail_msg("%s", pp_client_error(f->client)->text);
    assert_int_equal(counts_of(f)->sent, count);
    assert_int_equal(counts_of(f)->lost, count - received);
    assert_int_equal(f->peers[0].messages, count);
    check_books(f, 0);
    return counts_of(f);
}

static void check_all_received(struct fixture *f, uint32_t connections, uint64_t count)
{
    const struct peer peer = { .play = play_answer };
    const struct pp_counts *counts = check_run(f, &peer, connections, count, count);

    assert_int_equal(counts->duplicates, 0);
    assert_int_equal(counts->strays, 0);
}

/* ---- counting ---- */

static void test_datagrams_make_the_exact_count(void **state)
{
    check_all_received(*state, 1, 500);
}

static void test_several_flows_share_the_exact_count(void **state)
{
    check_all_received(*state, 5, 501);
}

static void test_with_a_depth_the_count_is_exact_too(void **state)
{
    ((struct fixture *)*state)->plan.depth = 16;
    check_all_received(*state, 2, 500);
}

static void test_a_datagram_without_a_body_is_a_message(void **state)
{
    plan_datagrams(*state, PP_DATAGRAM_HEADER_BYTES);
    check_all_received(*state, 2, 100);
}

static void test_the_largest_datagram_comes_back_whole(void **state)
{
    plan_datagrams(*state, PP_DATAGRAM_BYTES_MAX);
    check_all_received(*state, 2, 20);
}

static void test_datagrams_of_many_sizes_come_back_whole(void **state)
{
    struct fixture *f = *state;
    struct pp_error err = { 0 };

    plan_datagrams(f, 64);
    assert_int_equal(pp_sizes_parse(&f->plan.request, "uniform:16-1400", &err), 0);
    f->plan.response = f->plan.request;
    f->plan.depth = 4;
    check_all_received(f, 2, 200);
}

static void test_answers_may_be_shorter_than_their_requests(void **state)
{
    struct fixture *f = *state;
    struct pp_error err = { 0 };

    plan_datagrams(f, 500);
    assert_int_equal(pp_sizes_parse(&f->plan.response, "uniform:16-400", &err), 0);
    f->plan.answers = true;
    check_all_received(f, 2, 200);
}

/* ---- lost ---- */

static void play_lose(struct peer *peer, int fd)
{
    struct request request;

    while (receive(peer, fd, &request))
        if (!is_odd_one(peer))
            answer(fd, &request);
}

static void test_a_lost_datagram_is_counted_and_does_not_stall_the_flow(void **state)
{
    const struct peer peer = { .play = play_lose, .each = 10 };

    (void)check_run(*state, &peer, 1, 60, 54);
}

static void test_with_a_depth_a_lost_datagram_leaves_its_place_to_another(void **state)
{
    const struct peer peer = { .play = play_lose, .each = 10 };

    ((struct fixture *)*state)->plan.depth = 3;
    (void)check_run(*state, &peer, 2, 60, 54);
}

static void test_a_lost_datagram_is_no_sample_and_no_error(void **state)
{
    const struct peer peer = { .play = play_lose, .each = 10 };
    const struct pp_counts *counts = check_run(*state, &peer, 1, 30, 27);

    assert_int_equal(counts->errors, 0);
    assert_int_equal(counts->failed_connections, 0);
}

static void play_lose_all(struct peer *peer, int fd)
{
    struct request request;

    while (receive(peer, fd, &request))
        ;
}

static void test_a_run_without_any_answer_ends(void **state)
{
    const struct peer peer = { .play = play_lose_all };

    ((struct fixture *)*state)->plan.depth = 5;
    (void)check_run(*state, &peer, 2, 10, 0);
}

/* Every second one: half the messages are out of the ring's sight while their flow goes on. */
static void test_losing_half_of_them_keeps_the_rest_going(void **state)
{
    const struct peer peer = { .play = play_lose, .each = 2 };

    ((struct fixture *)*state)->plan.depth = 32;
    (void)check_run(*state, &peer, 1, 256, 128);
}

static void test_a_lost_datagram_does_not_disturb_the_schedule(void **state)
{
    struct fixture *f = *state;
    const struct peer peer = { .play = play_lose, .each = 5 };

    f->plan.rate = 1000;
    (void)check_run(f, &peer, 2, 40, 32);
    for (uint64_t i = 0; i < 40; i++)
        assert_true(f->peers[0].times[i] >= f->outcomes[0].start_ns + i * PP_NS_PER_MS);
}

/* ---- late ---- */

/* Answers an odd one after the next message has come, which is then sent in its place. */
static void play_late(struct peer *peer, int fd)
{
    struct request request, held;

    while (receive(peer, fd, &request)) {
        if (!is_odd_one(peer)) {
            answer(fd, &request);
            continue;
        }
        held = request;
        if (!receive(peer, fd, &request))
            return;
        answer(fd, &held);
        answer(fd, &request);
    }
}

static void test_an_answer_that_comes_late_is_not_lost(void **state)
{
    const struct peer peer = { .play = play_late, .each = 10 };
    const struct pp_counts *counts = check_run(*state, &peer, 1, 51, 51);

    assert_true(counts->late >= 5);
    assert_int_equal(counts->duplicates, 0);
    assert_int_equal(counts->strays, 0);
}

/* ---- slow is not lost ---- */

#define HELD_MAX 1000
#define HOLD_NS (300 * PP_NS_PER_MS)

/* A small request, and when it is to be answered. */
struct held {
    uint64_t due_ns;
    struct pp_io_addr from;
    uint32_t bytes;
    char data[64];
};

struct held_back {
    unsigned first, count;
    struct held messages[HELD_MAX];
};

static void hold(struct held_back *held, const struct request *request, uint64_t due_ns)
{
    struct held *message = &held->messages[held->count++ % HELD_MAX];

    *message = (struct held){ .due_ns = due_ns, .from = request->from, .bytes = request->bytes };
    memcpy(message->data, request->data, sizeof message->data);
    pp_datagram_turn(message->data, PP_DATAGRAM_REPLY);
}

/* Answers those that are due, and waits for the next message or the next that is due. */
static void release(struct held_back *held, int fd)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };

    do {
        while (held->first < held->count &&
               held->messages[held->first % HELD_MAX].due_ns <= pp_clock_now_ns()) {
            const struct held *message = &held->messages[held->first++ % HELD_MAX];

            (void)sendto(fd, message->data, message->bytes, 0, &message->from.any,
                         message->from.len);
        }
    } while (poll(&ready, 1, held->first < held->count ? 1 : -1) == 0);
}

/* Each odd one is answered late, whatever comes meanwhile. */
static void play_slow(struct peer *peer, int fd)
{
    struct held_back held = { 0 };
    struct request request;

    for (release(&held, fd); receive(peer, fd, &request); release(&held, fd)) {
        if (is_odd_one(peer))
            hold(&held, &request, pp_clock_now_ns() + HOLD_NS);
        else
            answer(fd, &request);
    }
}

static void test_slow_answers_among_quick_ones_are_samples(void **state)
{
    struct fixture *f = *state;
    const struct peer peer = { .play = play_slow, .each = 500 };
    const struct pp_counts *counts;

    f->plan.depth = 16;
    counts = check_run(f, &peer, 1, 10000, 10000);
    assert_int_equal(counts->strays, 0);
    assert_int_equal(counts->duplicates, 0);
    assert_int_equal(f->rtt.total, 10000);
    assert_true(pp_hist_above(&f->rtt, HOLD_NS / 2).samples >= 20);
}

/* After the first good ones the server stands still, and what has come meanwhile is answered. */
static void play_stall(struct peer *peer, int fd)
{
    struct held_back held = { 0 };
    struct request request;
    uint64_t until_ns = 0;

    while (receive(peer, fd, &request)) {
        const uint64_t now_ns = pp_clock_now_ns();

        if (peer->messages == peer->good)
            until_ns = now_ns + HOLD_NS;
        if (now_ns >= until_ns) {
            answer(fd, &request);
            continue;
        }
        hold(&held, &request, until_ns);
        peer->first = held.count;
        release(&held, fd);
    }
}

static void test_in_a_stall_the_depth_is_kept_and_nothing_is_lost(void **state)
{
    struct fixture *f = *state;
    const struct peer peer = { .play = play_stall, .good = 1000 };
    const struct pp_counts *counts;

    f->plan.depth = 64;
    counts = check_run(f, &peer, 1, 3000, 3000);
    assert_int_equal(counts->strays, 0);
    assert_true(f->peers[0].first >= 64);
    assert_true(f->peers[0].first <= 64 + 10); /* the waits between them are doubled each time */
    assert_true(pp_hist_above(&f->rtt, HOLD_NS / 2).samples >= 64);
}

/* The round trip takes longer than the first message is waited for. */
static void play_far_away(struct peer *peer, int fd)
{
    struct held_back held = { 0 };
    struct request request;

    for (release(&held, fd); receive(peer, fd, &request); release(&held, fd))
        hold(&held, &request, pp_clock_now_ns() + peer->pause_ns);
}

static void test_a_round_trip_of_more_than_a_second_is_no_loss(void **state)
{
    struct fixture *f = *state;
    const struct peer peer = { .play = play_far_away, .pause_ns = PP_NS_PER_S * 6 / 5 };
    const struct pp_counts *counts;

    f->plan.depth = 4;
    counts = check_run(f, &peer, 2, 24, 24);
    assert_true(counts->late <= 8);
    assert_true(f->rtt.min_ns >= peer.pause_ns);
}

/* ---- out of order ---- */

/* Two at a time, the second first. */
static void play_swap(struct peer *peer, int fd)
{
    struct request first, second;

    while (receive(peer, fd, &first) && receive(peer, fd, &second)) {
        answer(fd, &second);
        answer(fd, &first);
    }
}

static void test_answers_out_of_order_are_all_received_and_counted(void **state)
{
    const struct peer peer = { .play = play_swap };
    const struct pp_counts *counts;

    ((struct fixture *)*state)->plan.depth = 2;
    counts = check_run(*state, &peer, 1, 100, 100);
    assert_int_equal(counts->reordered, 50);
    assert_int_equal(counts->duplicates, 0);
}

/* ---- more than once ---- */

static void play_twice(struct peer *peer, int fd)
{
    struct request request;

    while (receive(peer, fd, &request)) {
        answer(fd, &request);
        answer(fd, &request);
    }
}

/* Waits for the last one's duplicate, too. */
static void check_duplicates(struct fixture *f, const struct peer *peer, uint32_t connections,
                             uint64_t count)
{
    f->lasts = true;
    prepare_datagrams(f, connections, count);
    (void)peer_start(f, *peer);
    run_until_received(f, count);
    RUN_UNTIL(f, counts_of(f)->duplicates >= count);
    leave(f);
    check_whole(f, count);
}

static void test_a_duplicate_is_counted_and_is_no_sample(void **state)
{
    const struct peer peer = { .play = play_twice };

    check_duplicates(*state, &peer, 1, 100);
}

static void test_with_a_depth_a_duplicate_answers_no_other_message(void **state)
{
    const struct peer peer = { .play = play_twice };

    ((struct fixture *)*state)->plan.depth = 8;
    check_duplicates(*state, &peer, 3, 300);
}

/* The answer to the message before comes once more, together with each. */
static void play_once_more(struct peer *peer, int fd)
{
    struct request request, before;

    if (!receive(peer, fd, &before))
        return;
    answer(fd, &before);
    while (receive(peer, fd, &request)) {
        answer(fd, &before);
        answer(fd, &request);
        before = request;
    }
}

static void test_an_old_answer_does_not_stand_for_a_new_one(void **state)
{
    struct fixture *f = *state;

    prepare_datagrams(f, 1, 100);
    (void)peer_start(f, (struct peer){ .play = play_once_more });
    run_until_received(f, 100);
    leave(f);
    assert_int_equal(counts_of(f)->duplicates, 99);
    check_whole(f, 100);
}

/* ---- strays ---- */

/* Eight of them before the only answer. */
static void play_strays(struct peer *peer, int fd)
{
    struct request request, stray;

    while (receive(peer, fd, &request)) {
        const uint64_t number = request.header.number;

        send_to(fd, &request, "", 0);
        send_to(fd, &request, "pp", 2);
        send_to(fd, &request, "GET / HTTP/1.1\r\n\r\n", 18);
        stray = request;
        answer_as(fd, &stray, PP_DATAGRAM_REPLY, number + 1000);
        answer_as(fd, &stray, PP_DATAGRAM_REPLY, number - 1000000);
        answer_as(fd, &stray, PP_DATAGRAM_HELLO, number);
        answer_as(fd, &stray, PP_DATAGRAM_HELLO_REPLY, number);
        stray.data[3] ^= 2; /* the version */
        send_to(fd, &request, stray.data, stray.bytes);
        answer(fd, &request);
    }
}

static void test_whatever_is_no_answer_is_a_stray_and_does_no_harm(void **state)
{
    const struct peer peer = { .play = play_strays };
    const struct pp_counts *counts = check_run(*state, &peer, 1, 20, 20);

    assert_int_equal(counts->strays, 8 * 20);
    assert_int_equal(counts->duplicates, 0);
}

/* An echo server of another origin does not turn the direction. */
static void play_echo_back(struct peer *peer, int fd)
{
    struct request request;

    while (receive(peer, fd, &request))
        send_to(fd, &request, request.data, request.bytes);
}

static void test_a_plain_echo_is_an_answer(void **state)
{
    const struct peer peer = { .play = play_echo_back };

    (void)check_run(*state, &peer, 2, 100, 100);
}

/* ---- wrong ---- */

static void play_corrupt(struct peer *peer, int fd)
{
    struct request request;

    while (receive(peer, fd, &request)) {
        if (peer->messages == peer->good)
            memset(request.data + 40, '!', 9);
        answer(fd, &request);
    }
}

static void play_cut(struct peer *peer, int fd)
{
    struct request request;

    while (receive(peer, fd, &request)) {
        if (peer->messages == peer->good)
            request.header.reply_bytes--;
        answer(fd, &request);
    }
}

/* As an echo server does that has too small a buffer. */
static void play_cut_echo(struct peer *peer, int fd)
{
    struct request request;

    while (receive(peer, fd, &request))
        send_to(fd, &request, request.data, request.bytes - (peer->messages == peer->good));
}

static void check_wrong(struct fixture *f, const struct peer *peer, const char *words)
{
    prepare_datagrams(f, 1, 100);
    (void)peer_start(f, *peer);
    run_to_the_end(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG, words);
    assert_int_equal(counts_of(f)->sent, peer->good);
    assert_int_equal(counts_of(f)->received, peer->good - 1);
    check_books(f, 1);
}

/* It might be given up for lost before, on a slow machine: then the flow goes on meanwhile. */
static void check_wrong_or_late(struct fixture *f, const struct peer *peer, const char *words)
{
    prepare_datagrams(f, 1, 100);
    (void)peer_start(f, *peer);
    run_to_the_end(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG, words);
    assert_int_equal(counts_of(f)->received, peer->good - 1);
    check_books(f, counts_of(f)->sent - counts_of(f)->received - counts_of(f)->lost);
}

static void test_a_corrupt_body_is_wrong_and_ends_the_run(void **state)
{
    const struct fixture *f = *state;
    const struct peer peer = { .play = play_corrupt, .good = 30 };

    const char *expected;

    check_wrong_or_late(*state, &peer, " was expected and 21 21 21 21 21 21 21 21 received; what");
    expected = strstr(pp_client_error(f->client)->text, "at byte 41 of a datagram, ");
    assert_non_null(expected);
    expected += strlen("at byte 41 of a datagram, ");
    assert_int_equal(strstr(expected, " was expected") - expected,
                     strlen("00 11 22 33 44 55 66 77"));
}

static void test_a_datagram_of_another_length_is_wrong_and_ends_the_run(void **state)
{
    const struct peer peer = { .play = play_cut, .good = 30 };

    check_wrong_or_late(*state, &peer,
                        "a datagram of 63 B came back instead of one of 64 B; what answers is not");
}

static void test_an_echo_that_is_cut_short_is_wrong_and_ends_the_run(void **state)
{
    const struct peer peer = { .play = play_cut_echo, .good = 30 };

    check_wrong_or_late(*state, &peer, "a datagram of 63 B came back instead of one of 64 B");
}

static void test_a_wrong_first_datagram_is_never_a_sample(void **state)
{
    const struct peer peer = { .play = play_corrupt, .good = 1 };

    check_wrong(*state, &peer, "byte 41 of a datagram");
}

static void test_where_only_lengths_are_checked_a_corrupt_body_is_right(void **state)
{
    const struct peer peer = { .play = play_corrupt, .good = 10 };

    ((struct fixture *)*state)->plan.verify = PP_VERIFY_LEN;
    (void)check_run(*state, &peer, 1, 20, 20);
}

static void test_where_only_lengths_are_checked_another_length_is_wrong(void **state)
{
    const struct peer peer = { .play = play_cut, .good = 10 };

    ((struct fixture *)*state)->plan.verify = PP_VERIFY_LEN;
    check_wrong_or_late(*state, &peer, "a datagram of 63 B came back");
}

static void test_where_nothing_is_checked_another_length_is_right(void **state)
{
    const struct peer peer = { .play = play_cut, .good = 10 };

    ((struct fixture *)*state)->plan.verify = PP_VERIFY_OFF;
    (void)check_run(*state, &peer, 1, 20, 20);
}

/* ---- failing ---- */

static void test_a_server_that_is_not_there_ends_the_run(void **state)
{
    struct fixture *f = *state;

    plan_datagrams(f, 64);
    f->plan.connections = 2;
    ready(f);
    (void)close(f->listen_fd); /* from here on the kernel refuses what is sent there */
    f->listen_fd = -1;
    add_stage(f, (struct stage){ .count = 100 });
    open_client(f);
    connect_and_run(f);
    check_error(f, PP_ERROR_RUN, -ECONNREFUSED, "cannot reach 127.0.0.1:");
    check_error(f, PP_ERROR_RUN, -ECONNREFUSED, "Connection refused; is the server still there?");
    assert_int_equal(counts_of(f)->received, 0);
    assert_int_equal(counts_of(f)->failed_connections, 2);
    check_identity(counts_of(f), 0);
}

static void play_interrupt(struct peer *peer, int fd)
{
    struct request request;

    while (receive(peer, fd, &request)) {
        if (peer->messages <= peer->good)
            answer(fd, &request);
        if (peer->messages == peer->good + peer->each)
            pp_io_wake(peer->f->loop, &peer->f->interrupt_op);
    }
}

static void test_an_interrupt_leaves_what_is_under_way_in_flight(void **state)
{
    struct fixture *f = *state;

    f->plan.depth = 4;
    prepare_datagrams(f, 1, 1000000);
    (void)peer_start(f, (struct peer){ .play = play_interrupt, .good = 10, .each = 4 });
    let_interrupt(f);
    run_to_the_end(f);
    assert_int_equal(pp_client_error(f->client)->code, 0);
    assert_true(counts_of(f)->received <= 10);
    check_books(f, counts_of(f)->sent - counts_of(f)->received - counts_of(f)->lost);
}

/* ---- phases ---- */

/* The warm-up's last answers come twice: when the measurement has begun. */
static void play_late_for_the_warm_up(struct peer *peer, int fd)
{
    struct request request, held;

    if (!receive(peer, fd, &request))
        return;
    answer(fd, &request); /* from here on the client knows how long to wait */
    if (!receive(peer, fd, &held))
        return;
    peer_wait(peer);
    answer(fd, &held);
    answer(fd, &held);
    answer(fd, &request);
    play_answer(peer, fd);
}

static void test_what_a_warm_up_lost_is_nothing_to_the_measurement_when_it_comes(void **state)
{
    struct fixture *f = *state;

    plan_datagrams(f, 64);
    ready(f);
    add_stage(f, (struct stage){ .count = 2 });
    add_stage(f, (struct stage){ .count = 50 });
    listen_and_open(f);
    (void)peer_start(f, (struct peer){ .play = play_late_for_the_warm_up });
    f->stays = true;
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 2);
    assert_int_equal(f->outcomes[0].counts.lost, 1);
    assert_int_equal(f->outcomes[0].counts.received, 1);
    (void)sem_post(&f->go_on[0]);
    RUN_UNTIL(f, f->finished == 2 && counts_of(f)->received >= 50);
    leave(f);
    assert_int_equal(counts_of(f)->duplicates, 0);
    assert_int_equal(counts_of(f)->reordered, 0);
    check_whole(f, 50);
}

/* The last answer comes when all is over, and after it something that only shows that it came. */
static void play_after_the_end(struct peer *peer, int fd)
{
    struct request request;

    if (!receive(peer, fd, &request))
        return;
    answer(fd, &request);
    if (!receive(peer, fd, &request))
        return;
    peer_wait(peer);
    answer(fd, &request);
    send_to(fd, &request, "stray", 5);
    play_answer(peer, fd);
}

static void test_an_answer_that_comes_when_all_is_over_leaves_its_message_lost(void **state)
{
    struct fixture *f = *state;
    uint64_t last_ns;

    plan_datagrams(f, 64);
    prepare(f, 1, 2);
    (void)peer_start(f, (struct peer){ .play = play_after_the_end });
    f->stays = true;
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->finished == 1);
    last_ns = counts_of(f)->last_ns;
    (void)sem_post(&f->go_on[0]);
    RUN_UNTIL(f, counts_of(f)->strays == 1);
    leave(f);
    assert_int_equal(counts_of(f)->received, 1);
    assert_int_equal(counts_of(f)->lost, 1);
    assert_int_equal(counts_of(f)->late, 0);
    assert_true(counts_of(f)->last_ns == last_ns);
    check_books(f, 0);
}

static void test_a_measurement_counts_nothing_of_its_warm_up(void **state)
{
    struct fixture *f = *state;

    plan_datagrams(f, 64);
    f->plan.connections = 2;
    f->plan.depth = 4;
    ready(f);
    add_stage(f, (struct stage){ .time_ns = 10 * PP_NS_PER_MS });
    add_stage(f, (struct stage){ .count = 200 });
    listen_and_open(f);
    (void)peer_start(f, (struct peer){ .play = play_answer });
    run_until_received(f, 200);
    leave(f);
    assert_int_equal(f->peers[0].messages, f->outcomes[0].counts.sent + 200);
    check_whole(f, 200);
}

static void test_by_time_an_unanswered_datagram_is_lost_or_in_flight(void **state)
{
    struct fixture *f = *state;
    const struct pp_counts *counts;

    plan_datagrams(f, 64);
    f->plan.depth = 4;
    ready(f);
    add_stage(f, (struct stage){ .time_ns = 30 * PP_NS_PER_MS });
    listen_and_open(f);
    (void)peer_start(f, (struct peer){ .play = play_lose, .each = 7 });
    run_to_the_end(f);
    counts = counts_of(f);
    assert_true(counts->sent >= counts->received + counts->lost);
    assert_true(counts->last_ns == f->outcomes[0].start_ns + f->stages[0].time_ns);
    check_books(f, counts->sent - counts->received - counts->lost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_datagrams_make_the_exact_count),
        ON_EACH_ENGINE(test_several_flows_share_the_exact_count),
        ON_EACH_ENGINE(test_with_a_depth_the_count_is_exact_too),
        ON_EACH_ENGINE(test_a_datagram_without_a_body_is_a_message),
        ON_EACH_ENGINE(test_the_largest_datagram_comes_back_whole),
        ON_EACH_ENGINE(test_datagrams_of_many_sizes_come_back_whole),
        ON_EACH_ENGINE(test_answers_may_be_shorter_than_their_requests),
        ON_EACH_ENGINE(test_a_lost_datagram_is_counted_and_does_not_stall_the_flow),
        ON_EACH_ENGINE(test_with_a_depth_a_lost_datagram_leaves_its_place_to_another),
        ON_EACH_ENGINE(test_a_lost_datagram_is_no_sample_and_no_error),
        ON_EACH_ENGINE(test_a_run_without_any_answer_ends),
        ON_EACH_ENGINE(test_losing_half_of_them_keeps_the_rest_going),
        ON_EACH_ENGINE(test_a_lost_datagram_does_not_disturb_the_schedule),
        ON_EACH_ENGINE(test_an_answer_that_comes_late_is_not_lost),
        ON_EACH_ENGINE(test_slow_answers_among_quick_ones_are_samples),
        ON_EACH_ENGINE(test_in_a_stall_the_depth_is_kept_and_nothing_is_lost),
        ON_EACH_ENGINE(test_a_round_trip_of_more_than_a_second_is_no_loss),
        ON_EACH_ENGINE(test_answers_out_of_order_are_all_received_and_counted),
        ON_EACH_ENGINE(test_a_duplicate_is_counted_and_is_no_sample),
        ON_EACH_ENGINE(test_with_a_depth_a_duplicate_answers_no_other_message),
        ON_EACH_ENGINE(test_an_old_answer_does_not_stand_for_a_new_one),
        ON_EACH_ENGINE(test_whatever_is_no_answer_is_a_stray_and_does_no_harm),
        ON_EACH_ENGINE(test_a_plain_echo_is_an_answer),
        ON_EACH_ENGINE(test_a_corrupt_body_is_wrong_and_ends_the_run),
        ON_EACH_ENGINE(test_a_datagram_of_another_length_is_wrong_and_ends_the_run),
        ON_EACH_ENGINE(test_an_echo_that_is_cut_short_is_wrong_and_ends_the_run),
        ON_EACH_ENGINE(test_a_wrong_first_datagram_is_never_a_sample),
        ON_EACH_ENGINE(test_where_only_lengths_are_checked_a_corrupt_body_is_right),
        ON_EACH_ENGINE(test_where_only_lengths_are_checked_another_length_is_wrong),
        ON_EACH_ENGINE(test_where_nothing_is_checked_another_length_is_right),
        ON_EACH_ENGINE(test_a_server_that_is_not_there_ends_the_run),
        ON_EACH_ENGINE(test_an_interrupt_leaves_what_is_under_way_in_flight),
        ON_EACH_ENGINE(test_what_a_warm_up_lost_is_nothing_to_the_measurement_when_it_comes),
        ON_EACH_ENGINE(test_an_answer_that_comes_when_all_is_over_leaves_its_message_lost),
        ON_EACH_ENGINE(test_a_measurement_counts_nothing_of_its_warm_up),
        ON_EACH_ENGINE(test_by_time_an_unanswered_datagram_is_lost_or_in_flight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
