#include "client_support.h"

/* A phase that ends by its time takes so long at least. */
#define SHORT_NS (20 * PP_NS_PER_MS)
#define LONG_NS (3600 * PP_NS_PER_S)

static void prepare_stages(struct fixture *f, uint32_t connections, struct stage first,
                           struct stage second)
{
    f->plan.connections = connections;
    ready(f);
    add_stage(f, first);
    add_stage(f, second);
    listen_and_open(f);
}

/* ---- one after the other ---- */

static void test_a_measurement_counts_nothing_of_its_warm_up(void **state)
{
    struct fixture *f = *state;

    f->plan.depth = 3;
    prepare_stages(f, 4, (struct stage){ .count = 100 }, (struct stage){ .count = 300 });
    echo_peers(f, 4);
    run_to_the_end(f);
    assert_int_equal(f->outcomes[0].counts.received, 100);
    assert_int_equal(f->outcomes[0].samples, 100);
    assert_true(f->outcomes[0].counts.last_ns <= f->outcomes[1].counts.first_ns);
    assert_int_equal(bytes_at_peers(f), 400 * 5);
    check_whole(f, 300);
}

static void test_a_warm_up_may_be_larger_than_what_is_measured(void **state)
{
    struct fixture *f = *state;

    prepare_stages(f, 2, (struct stage){ .count = 100 }, (struct stage){ .count = 1 });
    echo_peers(f, 2);
    run_to_the_end(f);
    assert_int_equal(bytes_at_peers(f), 101 * 5);
    check_whole(f, 1);
}

static void test_a_warm_up_by_time_and_a_measurement_by_count_do_not_mix(void **state)
{
    struct fixture *f = *state;
    const struct outcome *warm_up = &f->outcomes[0];

    prepare_stages(f, 3, (struct stage){ .time_ns = SHORT_NS }, (struct stage){ .count = 200 });
    echo_peers(f, 3);
    run_to_the_end(f);
    assert_int_equal(warm_up->samples, warm_up->counts.received + warm_up->counts.drained);
    assert_int_equal(bytes_at_peers(f), (warm_up->counts.sent + 200) * 5);
    check_whole(f, 200);
}

/* Its answers come when the measurement has begun. */
static void play_late_for_the_warm_up(struct peer *peer, int fd)
{
    if (!peer_read(peer, fd, NULL, 4 * 5))
        return;
    peer_wait(peer);
    peer_write_text(fd, "PING\nPING\nPING\nPING\n");
    play_echo(peer, fd);
}

static void test_what_a_warm_up_left_under_way_belongs_to_the_measurement(void **state)
{
    struct fixture *f = *state;

    f->plan.depth = 4;
    prepare_stages(f, 1, (struct stage){ .time_ns = SHORT_NS }, (struct stage){ .count = 100 });
    (void)peer_start(f, (struct peer){ .play = play_late_for_the_warm_up });
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 2);
    assert_int_equal(f->outcomes[0].counts.sent, 4);
    assert_int_equal(f->outcomes[0].counts.received, 0);
    (void)sem_post(&f->go_on[0]);
    run(f);
    peers_join(f);
    assert_int_equal(bytes_at_peers(f), 100 * 5);
    assert_true(f->rtt.max_ns >= PP_NS_PER_S); /* the drain of the warm-up has waited for them */
    check_whole(f, 100);
}

static void test_what_is_never_answered_since_the_warm_up_is_in_flight(void **state)
{
    struct fixture *f = *state;

    f->drops = true;
    prepare_stages(f, 2, (struct stage){ .time_ns = SHORT_NS }, (struct stage){ .count = 100 });
    (void)peer_start(f, (struct peer){ .holds_back = true });
    echo_peers(f, 1);
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 2 && counts_of(f)->received == 99);
    pp_client_interrupt(f->client);
    run(f);
    assert_int_equal(counts_of(f)->sent, 100);
    assert_true(counts_of(f)->unanswered_ns >= PP_NS_PER_S);
    check_identity(counts_of(f), 1);
}

static void test_a_measurement_begins_with_the_clock_of_its_own(void **state)
{
    struct fixture *f = *state;

    prepare_stages(f, 1, (struct stage){ .time_ns = SHORT_NS }, (struct stage){ .count = 10 });
    echo_peers(f, 1);
    run_to_the_end(f);
    assert_true(f->outcomes[1].start_ns >= f->outcomes[0].start_ns + SHORT_NS);
    assert_true(counts_of(f)->first_ns >= f->outcomes[1].start_ns);
    check_whole(f, 10);
}

/* ---- by time ---- */

static void prepare_timed(struct fixture *f, uint32_t connections, struct stage stage)
{
    f->plan.connections = connections;
    ready(f);
    add_stage(f, stage);
    listen_and_open(f);
}

static void test_a_phase_by_time_lasts_exactly_so_long(void **state)
{
    struct fixture *f = *state;

    f->plan.depth = 4;
    prepare_timed(f, 2, (struct stage){ .time_ns = SHORT_NS });
    echo_peers(f, 2);
    run_to_the_end(f);
    assert_true(counts_of(f)->last_ns == f->outcomes[0].start_ns + SHORT_NS);
    assert_int_equal(bytes_at_peers(f), counts_of(f)->sent * 5);
    check_books(f, counts_of(f)->sent - counts_of(f)->received);
}

static void test_a_phase_whose_time_is_over_when_it_begins_lasts_for_no_time(void **state)
{
    struct fixture *f = *state;

    prepare_timed(f, 1, (struct stage){ .time_ns = 1, .start_in_ns = -(int64_t)SHORT_NS });
    echo_peers(f, 1);
    run_to_the_end(f);
    assert_true(counts_of(f)->first_ns == f->outcomes[0].start_ns + 1);
    assert_true(counts_of(f)->last_ns == f->outcomes[0].start_ns + 1);
    assert_int_equal(counts_of(f)->received, 0);
}

static void test_an_answer_after_the_end_is_a_sample_and_no_part_of_the_rate(void **state)
{
    struct fixture *f = *state;

    prepare_timed(f, 3, (struct stage){ .time_ns = SHORT_NS });
    for (int i = 0; i < 3; i++)
        (void)peer_start(f, (struct peer){ .holds_back = true, .last = "PING\n", .last_bytes = 5 });
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 1 && counts_of(f)->last_ns == f->outcomes[0].start_ns + SHORT_NS);
    assert_int_equal(f->finished, 0); /* it waits for the answers that are under way */
    for (int i = 0; i < 3; i++)
        (void)sem_post(&f->go_on[i]);
    run(f);
    assert_int_equal(counts_of(f)->sent, 3);
    assert_int_equal(counts_of(f)->received, 0);
    assert_int_equal(counts_of(f)->drained, 3);
    assert_int_equal(counts_of(f)->unanswered_ns, 0);
    assert_true(f->rtt.min_ns > SHORT_NS / 2);
    check_books(f, 3);
}

static void test_a_wrong_answer_after_the_end_is_wrong_all_the_same(void **state)
{
    struct fixture *f = *state;

    prepare_timed(f, 1, (struct stage){ .time_ns = SHORT_NS });
    (void)peer_start(f, (struct peer){ .holds_back = true, .last = "PONG\n", .last_bytes = 5 });
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 1 && counts_of(f)->last_ns == f->outcomes[0].start_ns + SHORT_NS);
    (void)sem_post(&f->go_on[0]);
    run(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG, "at byte 2 of round trip 1");
    check_books(f, 1);
}

static void test_with_count_and_time_the_count_may_come_first(void **state)
{
    struct fixture *f = *state;

    prepare_timed(f, 2, (struct stage){ .count = 100, .time_ns = LONG_NS });
    echo_peers(f, 2);
    run_to_the_end(f);
    assert_true(counts_of(f)->last_ns < f->outcomes[0].start_ns + LONG_NS);
    check_whole(f, 100);
}

static void test_with_count_and_time_the_time_may_come_first(void **state)
{
    struct fixture *f = *state;

    prepare_timed(f, 2, (struct stage){ .count = UINT64_MAX - 1, .time_ns = SHORT_NS });
    echo_peers(f, 2);
    run_to_the_end(f);
    assert_true(counts_of(f)->last_ns == f->outcomes[0].start_ns + SHORT_NS);
    assert_int_equal(pp_client_error(f->client)->code, 0);
    check_books(f, counts_of(f)->sent - counts_of(f)->received);
}

/* ---- thinking ---- */

#define THINK_NS PP_NS_PER_MS

/* When each answer was sent, in place of when each message came; a message that comes too early
 * is noted. */
static void play_watch(struct peer *peer, int fd)
{
    uint64_t answered_ns = 0;

    while (peer_read(peer, fd, NULL, 5)) {
        if (peer->messages > 0 && pp_clock_now_ns() < answered_ns + THINK_NS)
            peer->text = "too early";
        peer->messages++;
        answered_ns = pp_clock_now_ns();
        peer_write_text(fd, "PING\n");
    }
}

static void test_whoever_thinks_sends_no_earlier(void **state)
{
    struct fixture *f = *state;

    f->plan.think_ns = THINK_NS;
    prepare(f, 2, 40);
    for (int i = 0; i < 2; i++)
        (void)peer_start(f, (struct peer){ .play = play_watch });
    run_to_the_end(f);
    for (int i = 0; i < 2; i++)
        assert_null(f->peers[i].text);
    check_whole(f, 40);
}

static void test_thinking_is_not_part_of_the_round_trip(void **state)
{
    struct fixture *f = *state;
    const struct pp_counts *counts;

    f->plan.think_ns = THINK_NS;
    prepare(f, 1, 30);
    echo_peers(f, 1);
    run_to_the_end(f);
    counts = counts_of(f);
    assert_true(f->rtt.sum_ns + 29 * THINK_NS <= counts->last_ns - counts->first_ns);
    check_whole(f, 30);
}

static void test_with_a_depth_each_message_has_its_own_thought(void **state)
{
    struct fixture *f = *state;

    f->plan.think_ns = THINK_NS;
    f->plan.depth = 5;
    prepare(f, 3, 100);
    echo_peers(f, 3);
    run_to_the_end(f);
    assert_int_equal(bytes_at_peers(f), 100 * 5);
    check_whole(f, 100);
}

static void test_thoughts_of_a_warm_up_do_not_reach_the_measurement(void **state)
{
    struct fixture *f = *state;

    f->plan.think_ns = THINK_NS;
    f->plan.depth = 2;
    prepare_stages(f, 2, (struct stage){ .time_ns = SHORT_NS }, (struct stage){ .count = 20 });
    echo_peers(f, 2);
    run_to_the_end(f);
    assert_int_equal(bytes_at_peers(f), (f->outcomes[0].counts.sent + 20) * 5);
    check_whole(f, 20);
}

static void test_a_connection_that_breaks_while_another_thinks_does_not_end_the_run(void **state)
{
    struct fixture *f = *state;

    f->plan.think_ns = THINK_NS;
    prepare(f, 2, 21);
    echo_peers(f, 1);
    (void)peer_start(f, (struct peer){ .last = "PI", .last_bytes = 2, .ending = CLOSE });
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ENODATA, "the server closed it");
    assert_int_equal(counts_of(f)->received, 20);
    assert_int_equal(counts_of(f)->errors, 1);
    check_books(f, 0);
}

/* ---- between two phases ---- */

static void play_close_when_told(struct peer *peer, int fd)
{
    if (!peer_read(peer, fd, NULL, 5))
        return;
    peer_write_text(fd, "PING\n");
    peer_wait(peer);
}

static void test_a_connection_that_breaks_between_two_phases_ends_the_run(void **state)
{
    struct fixture *f = *state;

    f->stays = true;
    prepare(f, 1, 1);
    (void)peer_start(f, (struct peer){ .play = play_close_when_told, .ending = CLOSE });
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->finished == 1);
    check_whole(f, 1);
    (void)sem_post(&f->go_on[0]);
    RUN_UNTIL(f, f->finished == 2);
    check_error(f, PP_ERROR_RUN, -ENODATA, "a connection broke");
    assert_int_equal(counts_of(f)->errors, 0);
    pp_client_disconnect(f->client, true);
    run(f);
}

/* Who was told of the end before it began a phase would wait for that one's end for ever. */
static void test_a_phase_that_begins_after_the_end_ends_at_once(void **state)
{
    struct fixture *f = *state;

    f->stays = true;
    prepare(f, 1, 1);
    echo_peers(f, 1);
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->finished == 1);
    pp_client_interrupt(f->client);
    assert_int_equal(f->finished, 2);
    pp_client_start(f->client, &(struct pp_phase){ .budget = &f->budget });
    assert_int_equal(f->finished, 3);
    assert_int_equal(counts_of(f)->received, 0); /* nothing of the phase before is taken for it */
    assert_true(counts_of(f)->first_ns == counts_of(f)->last_ns);
    pp_client_disconnect(f->client, true);
    run(f);
    peers_join(f);
    assert_int_equal(bytes_at_peers(f), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_a_measurement_counts_nothing_of_its_warm_up),
        ON_EACH_ENGINE(test_a_warm_up_may_be_larger_than_what_is_measured),
        ON_EACH_ENGINE(test_a_warm_up_by_time_and_a_measurement_by_count_do_not_mix),
        ON_EACH_ENGINE(test_what_is_never_answered_since_the_warm_up_is_in_flight),
        ON_EACH_ENGINE(test_what_a_warm_up_left_under_way_belongs_to_the_measurement),
        ON_EACH_ENGINE(test_a_measurement_begins_with_the_clock_of_its_own),
        ON_EACH_ENGINE(test_a_phase_by_time_lasts_exactly_so_long),
        ON_EACH_ENGINE(test_a_phase_whose_time_is_over_when_it_begins_lasts_for_no_time),
        ON_EACH_ENGINE(test_an_answer_after_the_end_is_a_sample_and_no_part_of_the_rate),
        ON_EACH_ENGINE(test_a_wrong_answer_after_the_end_is_wrong_all_the_same),
        ON_EACH_ENGINE(test_with_count_and_time_the_count_may_come_first),
        ON_EACH_ENGINE(test_with_count_and_time_the_time_may_come_first),
        ON_EACH_ENGINE(test_whoever_thinks_sends_no_earlier),
        ON_EACH_ENGINE(test_thinking_is_not_part_of_the_round_trip),
        ON_EACH_ENGINE(test_with_a_depth_each_message_has_its_own_thought),
        ON_EACH_ENGINE(test_thoughts_of_a_warm_up_do_not_reach_the_measurement),
        ON_EACH_ENGINE(test_a_connection_that_breaks_while_another_thinks_does_not_end_the_run),
        ON_EACH_ENGINE(test_a_connection_that_breaks_between_two_phases_ends_the_run),
        ON_EACH_ENGINE(test_a_phase_that_begins_after_the_end_ends_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
