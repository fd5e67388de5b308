#include "client_support.h"

/* Peers that accept one connection after the other. Each notes how many it had and what was odd. */

static void plan_crr(struct fixture *f)
{
    f->plan.crr = true;
}

/* One message, its answer, and then nothing but the end. */
static void play_one(struct peer *peer, int fd)
{
    const uint32_t size = peer->f->plan.request.max;
    char data[4096];
    char more;

    if (!peer_read(peer, fd, data, size))
        return;
    peer_note_message(peer);
    peer_write(fd, peer->text ? peer->text : data, peer->text ? strlen(peer->text) : size,
               peer->in_pieces);
    if (recv(fd, &more, 1, 0) > 0)
        peer->end = -EPROTO;
}

static void start_servers(struct fixture *f, unsigned count, struct peer script)
{
    script.play = script.play ? script.play : play_one;
    script.accepts = true;
    for (unsigned i = 0; i < count; i++)
        (void)peer_start(f, script);
}

static uint64_t messages_at_peers(const struct fixture *f)
{
    uint64_t messages = 0;

    for (unsigned i = 0; i < f->peer_count; i++) {
        assert_int_equal(f->peers[i].end, 0);
        messages += f->peers[i].messages;
    }
    return messages;
}

static void check_count(struct fixture *f, uint32_t connections, uint64_t count)
{
    plan_crr(f);
    prepare(f, connections, count);
    start_servers(f, connections, (struct peer){ 0 });
    run_to_the_end(f);
    assert_int_equal(messages_at_peers(f), count);
    check_whole(f, count);
}

/* ---- counting ---- */

static void test_each_round_trip_is_a_connection_of_its_own(void **state)
{
    check_count(*state, 1, 50);
}

static void test_several_connections_at_a_time_share_the_exact_count(void **state)
{
    check_count(*state, 5, 101);
}

static void test_connections_without_a_round_trip_are_not_made(void **state)
{
    check_count(*state, 8, 3);
}

static void test_messages_of_a_size_come_back_whole(void **state)
{
    struct fixture *f = *state;

    f->plan.sizes_given = true;
    f->plan.request = f->plan.response = pp_sizes_of(3000);
    check_count(f, 2, 40);
}

static void test_answers_may_come_in_pieces(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    prepare(f, 2, 40);
    start_servers(f, 2, (struct peer){ .in_pieces = true });
    run_to_the_end(f);
    check_whole(f, 40);
}

static void test_a_service_may_be_asked_once_a_connection(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    f->plan.expect_how = PP_EXPECT_UNTIL;
    f->plan.expect.bytes = 2;
    memcpy(f->plan.expect.text, "\r\n", 2);
    prepare(f, 2, 40);
    start_servers(f, 2, (struct peer){ .text = "HTTP/1.1 200 OK\r\n", .in_pieces = true });
    run_to_the_end(f);
    assert_int_equal(messages_at_peers(f), 40);
    check_whole(f, 40);
}

static void test_a_text_may_be_the_answer_of_each_connection(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    f->plan.expect_how = PP_EXPECT_TEXT;
    f->plan.expect.bytes = 7;
    memcpy(f->plan.expect.text, "+PONG\r\n", 7);
    prepare(f, 2, 40);
    start_servers(f, 2, (struct peer){ .text = "+PONG\r\n" });
    run_to_the_end(f);
    check_whole(f, 40);
}

/* ---- time ---- */

/* Before it accepts the next, it lets time go by; the client's kernel has long connected. */
static void play_slow_accept(struct peer *peer, int fd)
{
    const uint64_t end_ns = pp_clock_now_ns() + peer->pause_ns;

    while (pp_clock_now_ns() < end_ns)
        (void)usleep(1000);
    play_one(peer, fd);
}

static void test_a_round_trip_lasts_from_connecting_to_the_end_of_the_answer(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    prepare(f, 1, 5);
    start_servers(f, 1, (struct peer){ .play = play_slow_accept, .pause_ns = 3 * PP_NS_PER_MS });
    run_to_the_end(f);
    assert_true(f->rtt.min_ns >= 3 * PP_NS_PER_MS);
    assert_true(f->rtt.sum_ns <= counts_of(f)->last_ns - counts_of(f)->first_ns);
    check_whole(f, 5);
}

static void test_by_time_no_connection_is_begun_after_the_end(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    f->plan.connections = 3;
    ready(f);
    add_stage(f, (struct stage){ .time_ns = 20 * PP_NS_PER_MS });
    listen_and_open(f);
    start_servers(f, 3, (struct peer){ 0 });
    run_to_the_end(f);
    assert_true(counts_of(f)->last_ns == f->outcomes[0].start_ns + f->stages[0].time_ns);
    assert_int_equal(messages_at_peers(f), counts_of(f)->sent);
    check_books(f, counts_of(f)->sent - counts_of(f)->received);
}

static void test_a_measurement_counts_nothing_of_its_warm_up(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    f->plan.connections = 3;
    ready(f);
    add_stage(f, (struct stage){ .count = 20 });
    add_stage(f, (struct stage){ .time_ns = 10 * PP_NS_PER_MS });
    add_stage(f, (struct stage){ .count = 30 });
    listen_and_open(f);
    start_servers(f, 3, (struct peer){ 0 });
    run_to_the_end(f);
    assert_int_equal(f->outcomes[0].counts.received, 20);
    assert_int_equal(messages_at_peers(f), 20 + f->outcomes[1].counts.sent + 30);
    check_whole(f, 30);
}

static void test_a_schedule_holds_for_connections_too(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    f->plan.rate = 1000;
    prepare(f, 3, 30);
    start_servers(f, 3, (struct peer){ 0 });
    run_to_the_end(f);
    assert_true(counts_of(f)->last_ns >= f->outcomes[0].start_ns + 29 * PP_NS_PER_MS);
    assert_true(f->response.sum_ns >= f->rtt.sum_ns);
    assert_int_equal(messages_at_peers(f), 30);
    check_whole(f, 30);
}

static void test_whoever_thinks_connects_no_earlier(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    f->plan.think_ns = PP_NS_PER_MS;
    prepare(f, 1, 20);
    start_servers(f, 1, (struct peer){ 0 });
    run_to_the_end(f);
    for (uint64_t i = 1; i < 20; i++)
        assert_true(f->peers[0].times[i] >= f->peers[0].times[i - 1] + PP_NS_PER_MS);
    check_whole(f, 20);
}

/* ---- what goes wrong ---- */

static void play_good_then_wrong(struct peer *peer, int fd)
{
    const bool good = peer->messages < peer->good;

    peer->text = good ? "PING\n" : peer->last;
    play_one(peer, fd);
}

static void test_a_wrong_answer_ends_the_run(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    prepare(f, 1, 100);
    start_servers(f, 1,
                  (struct peer){ .play = play_good_then_wrong, .good = 10, .last = "PONG\n" });
    run_to_the_end(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG,
                "at byte 2 of round trip 11 of a connection, 49 4e 47 0a 50 49 4e 47 was expected "
                "and 4f 4e 47 0a received");
    assert_int_equal(counts_of(f)->received, 10);
    check_books(f, 1);
}

static void test_too_long_an_answer_is_wrong(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    prepare(f, 1, 100);
    start_servers(f, 1,
                  (struct peer){ .play = play_good_then_wrong, .good = 10, .last = "PING\nP" });
    run_to_the_end(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG, "1 more bytes came back than were asked for");
    check_books(f, 0);
}

/* Closes the connection after its good ones without an answer. */
static void play_good_then_close(struct peer *peer, int fd)
{
    if (peer->messages < peer->good)
        play_one(peer, fd);
    else
        (void)peer_read(peer, fd, NULL, 5);
}

static void test_a_connection_that_breaks_is_an_error_and_is_not_made_again(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    prepare(f, 1, 100);
    start_servers(f, 1, (struct peer){ .play = play_good_then_close, .good = 10 });
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ENODATA, "the server closed it");
    assert_int_equal(counts_of(f)->received, 10);
    assert_int_equal(counts_of(f)->errors, 1);
    assert_int_equal(counts_of(f)->failed_connections, 1);
    check_books(f, 0);
}

/* The second connection it gets is closed, and no other. */
static void play_close_one(struct peer *peer, int fd)
{
    if (peer->messages == 1 && peer->each == 0) {
        peer->each = 1;
        (void)peer_read(peer, fd, NULL, 5);
        return;
    }
    play_one(peer, fd);
}

static void test_when_one_connection_breaks_the_others_go_on(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    prepare(f, 3, 100);
    start_servers(f, 1, (struct peer){ .play = play_close_one });
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ENODATA, "the server closed it");
    assert_int_equal(counts_of(f)->received, 99);
    assert_int_equal(counts_of(f)->errors, 1);
    check_books(f, 0);
}

static void test_a_server_that_is_not_there_ends_the_run(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    f->plan.connections = 3;
    ready(f); /* the port is bound, and nobody listens */
    add_stage(f, (struct stage){ .count = 100 });
    open_client(f);
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ECONNREFUSED, "Connection refused; is the server still there?");
    assert_int_equal(counts_of(f)->received, 0);
    assert_int_equal(counts_of(f)->errors, 3);
    assert_int_equal(counts_of(f)->failed_connections, 3);
    check_books(f, 0);
}

static void test_a_connection_to_itself_is_no_round_trip(void **state)
{
    struct fixture *f = *state;

    plan_crr(f);
    ready(f);
    (void)close(f->listen_fd); /* the port is the client's now, by chance */
    f->listen_fd = -1;
    f->descriptors--;
    f->from_there = true;
    add_stage(f, (struct stage){ .count = 100 });
    open_client(f);
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ECONNREFUSED, "Connection refused; is the server still there?");
    assert_int_equal(counts_of(f)->received, 0);
    assert_int_equal(counts_of(f)->errors, 1);
    check_books(f, 0);
}

/* ---- interrupting ---- */

/* Its last connection is left without an answer. */
static void play_interrupt(struct peer *peer, int fd)
{
    if (peer->messages < peer->good) {
        play_one(peer, fd);
        return;
    }
    (void)peer_read(peer, fd, NULL, 5);
    pp_io_wake(peer->f->loop, &peer->f->interrupt_op);
    peer_read_on(peer, fd);
}

static void check_interrupt(struct fixture *f)
{
    plan_crr(f);
    prepare(f, 1, 1000000);
    start_servers(f, 1, (struct peer){ .play = play_interrupt, .good = 10 });
    let_interrupt(f);
    run_to_the_end(f);
    assert_int_equal(pp_client_error(f->client)->code, 0);
    assert_int_equal(counts_of(f)->received, 10);
    check_books(f, 1);
}

static void test_an_interrupt_leaves_what_is_under_way_in_flight(void **state)
{
    check_interrupt(*state);
}

static void test_an_interrupt_drops_what_is_under_way_if_so_asked(void **state)
{
    ((struct fixture *)*state)->drops = true;
    check_interrupt(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_each_round_trip_is_a_connection_of_its_own),
        ON_EACH_ENGINE(test_several_connections_at_a_time_share_the_exact_count),
        ON_EACH_ENGINE(test_connections_without_a_round_trip_are_not_made),
        ON_EACH_ENGINE(test_messages_of_a_size_come_back_whole),
        ON_EACH_ENGINE(test_answers_may_come_in_pieces),
        ON_EACH_ENGINE(test_a_service_may_be_asked_once_a_connection),
        ON_EACH_ENGINE(test_a_text_may_be_the_answer_of_each_connection),
        ON_EACH_ENGINE(test_a_round_trip_lasts_from_connecting_to_the_end_of_the_answer),
        ON_EACH_ENGINE(test_by_time_no_connection_is_begun_after_the_end),
        ON_EACH_ENGINE(test_a_measurement_counts_nothing_of_its_warm_up),
        ON_EACH_ENGINE(test_a_schedule_holds_for_connections_too),
        ON_EACH_ENGINE(test_whoever_thinks_connects_no_earlier),
        ON_EACH_ENGINE(test_a_wrong_answer_ends_the_run),
        ON_EACH_ENGINE(test_too_long_an_answer_is_wrong),
        ON_EACH_ENGINE(test_a_connection_that_breaks_is_an_error_and_is_not_made_again),
        ON_EACH_ENGINE(test_when_one_connection_breaks_the_others_go_on),
        ON_EACH_ENGINE(test_a_server_that_is_not_there_ends_the_run),
        ON_EACH_ENGINE(test_a_connection_to_itself_is_no_round_trip),
        ON_EACH_ENGINE(test_an_interrupt_leaves_what_is_under_way_in_flight),
        ON_EACH_ENGINE(test_an_interrupt_drops_what_is_under_way_if_so_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
