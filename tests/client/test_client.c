#include "client_support.h"

#include <sched.h>

/* ---- counting ---- */

static void check_exact(struct fixture *f, uint32_t connections, uint64_t count)
{
    const struct pp_counts *counts;

    prepare(f, connections, count);
    echo_peers(f, connections);
    run_to_the_end(f);
    counts = counts_of(f);
    assert_int_equal(counts->sent, count);
    assert_int_equal(counts->received, count);
    assert_int_equal(counts->errors, 0);
    assert_int_equal(counts->failed_connections, 0);
    assert_int_equal(pp_client_error(f->client)->code, 0);
    assert_int_equal(f->connected, 1);
    assert_int_equal(bytes_at_peers(f), count * f->plan.request.max); /* and not a ping beyond */
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
        assert_int_equal(f->peers[i].bytes, i < 3 ? f->plan.request.max : 0);
}

static void test_a_pong_in_single_bytes_is_one_pong(void **state)
{
    struct fixture *f = *state;

    prepare(f, 1, 100);
    (void)peer_start(f, (struct peer){ .good = ALWAYS, .in_pieces = true });
    run_to_the_end(f);
    assert_int_equal(counts_of(f)->received, 100);
    assert_int_equal(pp_client_error(f->client)->code, 0);
    check_books(f, 0);
}

static void plan_size(struct fixture *f, uint32_t bytes)
{
    f->plan.sizes_given = true;
    f->plan.request = f->plan.response = pp_sizes_of(bytes);
}

static void test_a_ping_larger_than_any_buffer_goes_round_whole(void **state)
{
    plan_size(*state, 3 * MIB);
    check_exact(*state, 2, 5);
}

/* ---- depth ---- */

static void test_with_a_depth_the_count_is_exact_too(void **state)
{
    struct fixture *f = *state;

    f->plan.depth = 8;
    check_exact(f, 3, 1000);
}

static void test_a_depth_beyond_the_count_sends_no_more_than_that(void **state)
{
    struct fixture *f = *state;

    f->plan.depth = 64;
    check_exact(f, 2, 3);
}

/* Answers some of the messages that the depth allows, in one piece, and takes as many new ones. */
static void play_three_of_eight(struct peer *peer, int fd)
{
    if (!peer_read(peer, fd, NULL, 8 * 5))
        return;
    peer_write_text(fd, "PING\nPING\nPING\n");
    if (peer_read(peer, fd, NULL, 3 * 5))
        pp_io_wake(peer->f->loop, &peer->f->interrupt_op);
}

static void test_as_many_messages_as_the_depth_are_under_way_and_no_more(void **state)
{
    struct fixture *f = *state;

    f->plan.depth = 8;
    prepare(f, 2, 1000000000);
    for (int i = 0; i < 2; i++)
        (void)peer_start(f, (struct peer){ .play = i ? play_three_of_eight : peer_read_on });
    let_interrupt(f);
    run_to_the_end(f);
    assert_int_equal(counts_of(f)->sent, 8 + 8 + 3);
    assert_int_equal(counts_of(f)->received, 3);
    assert_int_equal(bytes_at_peers(f), (8 + 8 + 3) * 5);
    check_books(f, 16);
}

static void test_with_a_depth_large_messages_and_answers_cross_on_their_way(void **state)
{
    struct fixture *f = *state;

    f->plan.depth = 4;
    plan_size(f, 300000);
    prepare(f, 2, 40);
    for (int i = 0; i < 2; i++)
        (void)peer_start(f, (struct peer){ .play = play_echo });
    run_to_the_end(f);
    check_whole(f, 40);
    assert_int_equal(bytes_at_peers(f), 40 * 300000);
}

/* ---- wrong answers ---- */

struct wrong {
    uint64_t good; /* round trips before it */
    const char *answer;
    const char *words;
};

static void check_wrong(struct fixture *f, const struct wrong *wrong)
{
    prepare(f, 1, 100);
    (void)peer_start(f, (struct peer){ .good = wrong->good,
                                       .last = wrong->answer,
                                       .last_bytes = strlen(wrong->answer) });
    run_to_the_end(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG, wrong->words);
    assert_int_equal(counts_of(f)->received, wrong->good);
    check_books(f, 1);
}

static void test_a_wrong_first_byte_of_the_first_pong_is_found(void **state)
{
    check_wrong(*state, &(struct wrong){ 0, "pING\n",
                                         "at byte 1 of round trip 1 of a connection, "
                                         "50 49 4e 47 0a 50 49 4e was expected and "
                                         "70 49 4e 47 0a received" });
}

static void test_a_wrong_last_byte_of_a_later_pong_is_found(void **state)
{
    check_wrong(*state, &(struct wrong){ 41, "PING\r",
                                         "at byte 5 of round trip 42 of a connection, "
                                         "0a 50 49 4e 47 0a 50 49 was expected and 0d received" });
}

static void test_a_wrong_byte_with_the_high_bit_is_printed_as_one_byte(void **state)
{
    check_wrong(*state, &(struct wrong){ 1, "PI\xffG\n",
                                         "at byte 3 of round trip 2 of a connection, "
                                         "4e 47 0a 50 49 4e 47 0a was expected and "
                                         "ff 47 0a received" });
}

static void test_a_wrong_byte_in_an_unfinished_pong_is_found(void **state)
{
    check_wrong(*state, &(struct wrong){ 2, "PX", "at byte 2 of round trip 3 of a connection" });
}

static void test_no_more_of_a_long_wrong_answer_is_shown_than_fits(void **state)
{
    check_wrong(*state,
                &(struct wrong){ 0, "HTTP/1.1 400 Bad Request\r\n",
                                 "was expected and 48 54 54 50 2f 31 2e 31 received; what" });
}

/* What was asked for is there, and something else behind it. */
static void check_too_much(struct fixture *f, const struct wrong *wrong)
{
    prepare(f, 1, 100);
    (void)peer_start(f, (struct peer){ .good = wrong->good,
                                       .last = wrong->answer,
                                       .last_bytes = strlen(wrong->answer) });
    run_to_the_end(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG, wrong->words);
    assert_int_equal(counts_of(f)->sent, wrong->good + 1);
    assert_int_equal(counts_of(f)->received, wrong->good + 1);
    check_books(f, 0);
}

static void test_two_pongs_for_one_ping_are_too_much(void **state)
{
    check_too_much(*state, &(struct wrong){ 3, "PING\nPING\n",
                                            "5 more bytes came back than were asked for: "
                                            "50 49 4e 47 0a" });
}

static void test_a_pong_and_the_beginning_of_another_are_too_much(void **state)
{
    check_too_much(
        *state, &(struct wrong){ 3, "PING\nP", "1 more bytes came back than were asked for: 50;" });
}

static void test_more_than_the_last_pong_is_too_much(void **state)
{
    check_too_much(*state, &(struct wrong){ 99, "PING\nPI",
                                            "2 more bytes came back than were asked for: 50 49" });
}

static void test_a_pong_without_a_ping_is_too_much(void **state)
{
    struct fixture *f = *state;

    f->holds_back = true; /* not one ping is sent */
    prepare(f, 2, 100);
    (void)peer_start(f, (struct peer){ .good = ALWAYS });
    (void)peer_start(f, (struct peer){ .last = "PING\n", .last_bytes = 5, .wants_none = true });
    run_to_the_end(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG, "5 more bytes came back than were asked for");
    assert_int_equal(counts_of(f)->sent, 0);
    assert_int_equal(bytes_at_peers(f), 0);
    check_books(f, 0);
}

/* ---- broken connections ---- */

/* Ten connections, one of which breaks in the middle of its first pong. */
static void check_one_breaks(struct fixture *f, enum ending ending, const char *words, int code)
{
    const struct pp_counts *counts;

    prepare(f, 10, 2000);
    echo_peers(f, 9);
    (void)peer_start(f, (struct peer){ .last = "PI", .last_bytes = 2, .ending = ending });
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, code, words);
    counts = counts_of(f);
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

static void test_it_is_said_how_much_the_broken_connection_had_done_itself(void **state)
{
    struct fixture *f = *state;

    prepare(f, 3, 3000);
    echo_peers(f, 2);
    (void)peer_start(f, (struct peer){ .good = 7, .ending = CLOSE });
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ENODATA, "a connection broke after 7 round trips with");
    assert_int_equal(counts_of(f)->received, 2999);
}

static void test_when_every_connection_breaks_the_measurement_ends(void **state)
{
    struct fixture *f = *state;
    const struct pp_counts *counts;

    prepare(f, 4, 1000000000);
    for (uint64_t i = 0; i < 4; i++)
        (void)peer_start(f, (struct peer){ .good = 10 * i, .ending = CLOSE });
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ENODATA, "a connection broke");
    counts = counts_of(f);
    assert_int_equal(counts->failed_connections, 4);
    assert_int_equal(counts->errors, 4);
    assert_int_equal(counts->received, 0 + 10 + 20 + 30);
    check_books(f, 0);
}

static void test_a_connection_that_breaks_while_it_is_idle_loses_no_round_trip(void **state)
{
    struct fixture *f = *state;
    const struct pp_counts *counts;

    prepare(f, 2, 1);
    (void)peer_start(f, (struct peer){ .holds_back = true, .last = "PING\n", .last_bytes = 5 });
    (void)peer_start(f, (struct peer){ .wants_none = true, .holds_back = true, .ending = CLOSE });
    counts = counts_of(f);
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, counts->sent == 1);
    (void)sem_post(&f->go_on[1]);
    RUN_UNTIL(f, counts->failed_connections == 1);
    assert_int_equal(f->finished, 0);
    (void)sem_post(&f->go_on[0]);
    run(f);
    assert_int_equal(counts->received, 1);
    assert_int_equal(counts->errors, 0);
    assert_int_equal(counts->failed_connections, 1);
    check_error(f, PP_ERROR_RUN, -ENODATA, "a connection broke");
    check_books(f, 0);
}

/* Its ping fails before the beginning of an answer is read, which nobody waits for any more. */
static void test_what_a_broken_connection_still_brings_is_not_looked_at(void **state)
{
    struct fixture *f = *state;

    prepare(f, 2, 60);
    echo_peers(f, 1);
    (void)peer_start(f, (struct peer){ .wants_none = true,
                                       .holds_back = true,
                                       .last = "PI",
                                       .last_bytes = 2,
                                       .ending = RESET });
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 1);
    (void)sem_post(&f->go_on[1]);
    while (!atomic_load(&f->peers[1].done)) /* the loop stands still, and then finds all at once */
        (void)sched_yield();
    run(f);
    if (pp_client_error(f->client)->kind != PP_ERROR_RUN)
        fail_msg("%s", pp_client_error(f->client)->text);
    assert_int_equal(counts_of(f)->sent, 60);
    assert_int_equal(counts_of(f)->received, 59);
    assert_int_equal(counts_of(f)->errors, 1);
    assert_int_equal(counts_of(f)->failed_connections, 1);
    check_books(f, 0);
}

static void test_when_the_last_ping_of_all_is_lost_the_measurement_ends(void **state)
{
    struct fixture *f = *state;
    const struct pp_counts *counts;

    prepare(f, 2, 2);
    echo_peers(f, 1);
    (void)peer_start(f, (struct peer){ .holds_back = true, .ending = CLOSE });
    counts = counts_of(f);
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, counts->received == 1);
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

    prepare(f, 1, 100);
    (void)peer_start(f, (struct peer){ .good = 17, .ending = CLOSE });
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ENODATA, "after 17 round trips");
    check_error(f, PP_ERROR_RUN, -ENODATA, pp_io_addr_format(&f->addr, addr));
}

static void check_refused(struct fixture *f, uint32_t connections)
{
    const struct pp_counts *counts;

    f->plan.connections = connections;
    ready(f); /* the port is bound, and nobody listens */
    add_stage(f, (struct stage){ .count = 100 });
    open_client(f);
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ECONNREFUSED, "cannot connect to 127.0.0.1:");
    check_error(f, PP_ERROR_RUN, -ECONNREFUSED, "Connection refused; is the server still there?");
    counts = counts_of(f);
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

static void test_a_client_of_a_server_elsewhere_is_told_how_to_start_one(void **state)
{
    struct fixture *f = *state;

    f->plan.job = PP_JOB_CLIENT;
    ready(f);
    open_client(f);
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ECONNREFUSED, "start one there with: pingpong serve ADDRESS");
}

/* ---- interrupting ---- */

static void test_an_interrupt_leaves_what_is_under_way_in_flight(void **state)
{
    struct fixture *f = *state;
    const struct pp_counts *counts;

    prepare(f, 3, 1000000000);
    for (int i = 0; i < 2; i++)
        (void)peer_start(f, (struct peer){ .good = 0 });
    (void)peer_start(f, (struct peer){ .good = 50, .interrupts = true });
    let_interrupt(f);
    run_to_the_end(f);
    counts = counts_of(f);
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

    prepare(f, 4, 100);
    echo_peers(f, 4);
    pp_client_connect(f->client, 0);
    pp_client_interrupt(f->client);
    pp_client_interrupt(f->client);
    run(f);
    assert_int_equal(f->connected, 0);
    assert_int_equal(counts_of(f)->sent, 0);
    assert_int_equal(pp_client_error(f->client)->code, 0);
    check_books(f, 0);
}

/* ---- disconnecting ---- */

static void test_to_disconnect_politely_waits_for_the_peer_to_close(void **state)
{
    struct fixture *f = *state;

    prepare(f, 4, 100);
    echo_peers(f, 4);
    connect_and_run(f);
    for (int i = 0; i < 4; i++)
        assert_true(atomic_load(&f->peers[i].done));
    peers_join(f);
    for (int i = 0; i < 4; i++)
        assert_int_equal(f->peers[i].end, 0); /* the stream ended, it was not reset */
}

/* What the loop was given goes out whole, and the stream ends as it should. */
static void test_to_disconnect_politely_finishes_the_piece_that_is_under_way(void **state)
{
    struct fixture *f = *state;

    plan_size(f, 16 * MIB);
    prepare(f, 1, 100);
    (void)peer_start(f, (struct peer){ .first = 1, .interrupts = true });
    let_interrupt(f);
    run_to_the_end(f);
    assert_in_range(bytes_at_peers(f), 1, 16 * MIB);
    assert_int_equal(bytes_at_peers(f) % PP_PATTERN_PIECE, 0);
    assert_int_equal(f->peers[0].end, 0);
    check_books(f, 1);
}

static void test_to_disconnect_at_once_does_not_wait_for_the_peer(void **state)
{
    struct fixture *f = *state;

    f->drops = true;
    prepare(f, 4, 100);
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

    prepare(f, 3, 100);
    for (int i = 0; i < 2; i++)
        (void)peer_start(f, (struct peer){ .ending = LINGER });
    (void)peer_start(f, (struct peer){ .ending = LINGER, .good = 10, .interrupts = true });
    let_interrupt(f);
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->finished == 1);
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
    script.first = 1;
    script.ending = LINGER;
    f->drops = true;
    plan_size(f, 16 * MIB);
    prepare(f, 1, 100);
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

    prepare(f, 4, 100);
    pp_client_connect(f->client, 0);
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
        ON_EACH_ENGINE(test_with_a_depth_the_count_is_exact_too),
        ON_EACH_ENGINE(test_a_depth_beyond_the_count_sends_no_more_than_that),
        ON_EACH_ENGINE(test_as_many_messages_as_the_depth_are_under_way_and_no_more),
        ON_EACH_ENGINE(test_with_a_depth_large_messages_and_answers_cross_on_their_way),
        ON_EACH_ENGINE(test_a_wrong_first_byte_of_the_first_pong_is_found),
        ON_EACH_ENGINE(test_a_wrong_last_byte_of_a_later_pong_is_found),
        ON_EACH_ENGINE(test_a_wrong_byte_with_the_high_bit_is_printed_as_one_byte),
        ON_EACH_ENGINE(test_a_wrong_byte_in_an_unfinished_pong_is_found),
        ON_EACH_ENGINE(test_no_more_of_a_long_wrong_answer_is_shown_than_fits),
        ON_EACH_ENGINE(test_two_pongs_for_one_ping_are_too_much),
        ON_EACH_ENGINE(test_a_pong_and_the_beginning_of_another_are_too_much),
        ON_EACH_ENGINE(test_more_than_the_last_pong_is_too_much),
        ON_EACH_ENGINE(test_a_pong_without_a_ping_is_too_much),
        ON_EACH_ENGINE(test_when_a_peer_closes_in_mid_message_the_others_go_on),
        ON_EACH_ENGINE(test_when_a_peer_resets_in_mid_message_the_others_go_on),
        ON_EACH_ENGINE(test_it_is_said_how_much_the_broken_connection_had_done_itself),
        ON_EACH_ENGINE(test_when_every_connection_breaks_the_measurement_ends),
        ON_EACH_ENGINE(test_a_connection_that_breaks_while_it_is_idle_loses_no_round_trip),
        ON_EACH_ENGINE(test_what_a_broken_connection_still_brings_is_not_looked_at),
        ON_EACH_ENGINE(test_when_the_last_ping_of_all_is_lost_the_measurement_ends),
        ON_EACH_ENGINE(test_an_error_says_how_far_the_run_got_and_with_whom),
        ON_EACH_ENGINE(test_a_refused_connection_ends_the_run),
        ON_EACH_ENGINE(test_many_refused_connections_end_the_run_once),
        ON_EACH_ENGINE(test_a_client_of_a_server_elsewhere_is_told_how_to_start_one),
        ON_EACH_ENGINE(test_an_interrupt_leaves_what_is_under_way_in_flight),
        ON_EACH_ENGINE(test_an_interrupt_before_the_connections_stand_ends_the_run),
        ON_EACH_ENGINE(test_to_disconnect_politely_waits_for_the_peer_to_close),
        ON_EACH_ENGINE(test_to_disconnect_politely_finishes_the_piece_that_is_under_way),
        ON_EACH_ENGINE(test_to_disconnect_at_once_does_not_wait_for_the_peer),
        ON_EACH_ENGINE(test_to_disconnect_at_once_may_follow_where_politely_takes_too_long),
        ON_EACH_ENGINE(test_to_disconnect_at_once_drops_a_ping_that_is_under_way),
        ON_EACH_ENGINE(test_an_early_wrong_pong_ends_the_run_while_its_ping_is_under_way),
        ON_EACH_ENGINE(test_to_disconnect_when_told_of_the_end_leaves_nothing_armed),
        ON_EACH_ENGINE(test_a_client_whose_loop_never_ran_closes_its_connections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
