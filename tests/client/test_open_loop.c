#include "client_support.h"

#include "client/pace.h"

#include <time.h>

/* A schedule that the tests can wait for: a message a millisecond. */
#define RATE 1000
#define INTERVAL_NS PP_NS_PER_MS

static void plan_rate(struct fixture *f, uint32_t connections)
{
    f->plan.rate = RATE;
    f->plan.connections = connections;
}

static void prepare_stage(struct fixture *f, struct stage stage)
{
    ready(f);
    add_stage(f, stage);
    listen_and_open(f);
}

/* How long after it was due each message was sent, summed up. */
static uint64_t lateness_ns(const struct fixture *f)
{
    assert_true(f->response.sum_ns >= f->rtt.sum_ns);
    return f->response.sum_ns - f->rtt.sum_ns;
}

/* ---- the schedule ---- */

static void test_no_message_is_sent_before_its_time(void **state)
{
    struct fixture *f = *state;

    plan_rate(f, 1);
    prepare_stage(f, (struct stage){ .count = 50 });
    echo_peers(f, 1);
    run_to_the_end(f);
    for (uint64_t i = 0; i < 50; i++)
        assert_true(f->peers[0].times[i] >= f->outcomes[0].start_ns + i * INTERVAL_NS);
    check_whole(f, 50);
}

static void test_nothing_is_sent_before_the_schedule_begins(void **state)
{
    struct fixture *f = *state;

    plan_rate(f, 2);
    prepare_stage(f, (struct stage){ .count = 10, .start_in_ns = 20 * INTERVAL_NS });
    echo_peers(f, 2);
    run_to_the_end(f);
    for (unsigned i = 0; i < 2; i++)
        assert_true(f->peers[i].times[0] >= f->outcomes[0].start_ns);
    check_whole(f, 10);
}

static void test_random_arrivals_follow_their_seed(void **state)
{
    struct fixture *f = *state;
    struct pp_pace pace;

    plan_rate(f, 1);
    f->plan.arrivals = PP_ARRIVALS_POISSON;
    f->plan.seed = 42;
    prepare_stage(f, (struct stage){ .count = 50 });
    echo_peers(f, 1);
    run_to_the_end(f);
    pp_pace_begin(&pace, PP_ARRIVALS_POISSON, RATE, f->outcomes[0].start_ns,
                  (struct pp_pace_deal){ 0, 1, 1 }, 42);
    for (uint64_t i = 0; i < 50; i++) {
        assert_true(f->peers[0].times[i] >= pace.next_ns);
        pp_pace_step(&pace);
    }
    check_whole(f, 50);
}

static void test_connections_take_turns(void **state)
{
    struct fixture *f = *state;

    plan_rate(f, 4);
    prepare_stage(f, (struct stage){ .count = 40 });
    echo_peers(f, 4);
    run_to_the_end(f);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(f->peers[i].messages, 10);
    check_whole(f, 40);
}

/* Or else it says by how much the schedule was missed. */
static void test_in_a_given_time_as_many_are_sent_as_are_due(void **state)
{
    struct fixture *f = *state;
    const struct pp_counts *counts;

    plan_rate(f, 3);
    prepare_stage(f, (struct stage){ .time_ns = 30 * INTERVAL_NS });
    echo_peers(f, 3);
    run_to_the_end(f);
    counts = counts_of(f);
    assert_true(counts->sent <= 30);
    assert_true(counts->sent == 30 || counts->lag_ns > 0);
    assert_int_equal(bytes_at_peers(f), counts->sent * 5);
    check_books(f, counts->sent - counts->received);
}

/* ---- a loop that is open ---- */

/* Reads so many messages before it answers any. */
static void play_answer_at_the_end(struct peer *peer, int fd)
{
    for (uint32_t i = 0; i < peer->each; i++)
        if (!peer_read(peer, fd, NULL, 5))
            return;
    for (uint32_t i = 0; i < peer->each; i++)
        peer_write_text(fd, "PING\n");
}

static void test_messages_go_out_whatever_became_of_those_before(void **state)
{
    struct fixture *f = *state;

    plan_rate(f, 2);
    prepare_stage(f, (struct stage){ .count = 40 });
    for (int i = 0; i < 2; i++)
        (void)peer_start(f, (struct peer){ .play = play_answer_at_the_end, .each = 20 });
    run_to_the_end(f);
    check_whole(f, 40);
}

/* Pauses after the first message, while others become due. */
static void play_stall(struct peer *peer, int fd)
{
    uint64_t end_ns;

    if (!peer_read(peer, fd, NULL, 5))
        return;
    end_ns = pp_clock_now_ns() + peer->pause_ns;
    while (pp_clock_now_ns() < end_ns)
        (void)usleep(1000);
    peer_write_text(fd, "PING\n");
    play_echo(peer, fd);
}

/* Message i, due i intervals after the first, goes out when the stall is over at the earliest. */
static void test_a_stall_of_the_peer_counts_for_every_message_that_was_due_meanwhile(void **state)
{
    struct fixture *f = *state;
    uint64_t least_ns = 0;

    plan_rate(f, 1);
    f->plan.depth = 1;
    prepare_stage(f, (struct stage){ .count = 50 });
    (void)peer_start(f, (struct peer){ .play = play_stall, .pause_ns = 40 * INTERVAL_NS });
    run_to_the_end(f);
    for (uint64_t i = 1; i < 40; i++)
        least_ns += (40 - i) * INTERVAL_NS;
    assert_true(lateness_ns(f) >= least_ns);
    assert_true(f->rtt.max_ns >= 40 * INTERVAL_NS);
    check_whole(f, 50);
}

/* The same with answers that do come, only late: then the round trips themselves are long. */
static void test_with_depth_enough_a_stall_shows_in_the_round_trips_too(void **state)
{
    struct fixture *f = *state;
    uint64_t least_ns = 40 * INTERVAL_NS;

    plan_rate(f, 1);
    prepare_stage(f, (struct stage){ .count = 50 });
    (void)peer_start(f, (struct peer){ .play = play_stall, .pause_ns = 40 * INTERVAL_NS });
    run_to_the_end(f);
    for (uint64_t i = 1; i < 40; i++)
        least_ns += (40 - i) * INTERVAL_NS;
    assert_true(f->response.sum_ns >= least_ns);
    assert_true(f->response.sum_ns >= f->rtt.sum_ns);
    check_whole(f, 50);
}

static void test_latency_counts_from_the_schedule_however_late_the_client_itself_is(void **state)
{
    struct fixture *f = *state;
    uint64_t least_ns = 0;

    plan_rate(f, 2);
    prepare_stage(f, (struct stage){ .count = 100, .start_in_ns = -100 * (int64_t)INTERVAL_NS });
    echo_peers(f, 2);
    run_to_the_end(f);
    for (uint64_t i = 0; i < 100; i++)
        least_ns += (100 - i) * INTERVAL_NS;
    assert_true(lateness_ns(f) >= least_ns);
    check_whole(f, 100);
}

/* ---- connections that are not free ---- */

static void play_silence(struct peer *peer, int fd)
{
    peer_wait(peer);
    peer_read_on(peer, fd);
}

/* Four messages are due when the phase begins, and more soon; there is room for four. */
/* Long enough for a busy machine to begin with it before it is over. */
#define FULL_INTERVALS 200

static void prepare_full(struct fixture *f)
{
    plan_rate(f, 2);
    f->plan.depth = 2;
    prepare_stage(f, (struct stage){ .time_ns = FULL_INTERVALS * INTERVAL_NS,
                                     .start_in_ns = -3 * (int64_t)INTERVAL_NS });
    for (int i = 0; i < 2; i++)
        (void)peer_start(f, (struct peer){ .play = play_silence });
}

static uint64_t end_ns(const struct fixture *f)
{
    return f->outcomes[0].start_ns + f->stages[0].time_ns;
}

static void test_no_more_messages_are_under_way_than_the_depth_allows(void **state)
{
    struct fixture *f = *state;

    prepare_full(f);
    f->drops = true;
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 1 && counts_of(f)->last_ns == end_ns(f));
    pp_client_interrupt(f->client);
    run(f);
    peers_join(f);
    assert_int_equal(counts_of(f)->sent, 4);
    assert_int_equal(bytes_at_peers(f), 4 * 5);
    check_books(f, 4);
}

static void test_how_far_behind_its_schedule_a_phase_ended_is_noted(void **state)
{
    struct fixture *f = *state;

    prepare_full(f);
    f->drops = true;
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 1 && counts_of(f)->last_ns == end_ns(f));
    assert_true(counts_of(f)->lag_ns == (FULL_INTERVALS - 4) * INTERVAL_NS);
    pp_client_interrupt(f->client);
    run(f);
}

static void test_an_interrupt_notes_how_far_behind_the_schedule_is(void **state)
{
    struct fixture *f = *state;

    prepare_full(f);
    f->drops = true;
    f->stages[0].time_ns = 0;
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 1);
    while (pp_clock_now_ns() < f->outcomes[0].start_ns + 10 * INTERVAL_NS)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    pp_client_interrupt(f->client);
    assert_true(counts_of(f)->lag_ns >= (10 - 4) * INTERVAL_NS);
    run(f);
    check_books(f, 4);
}

/* The count was reached, but not in the time that the rate would have taken. */
static void test_a_count_that_was_reached_late_is_behind_its_schedule(void **state)
{
    struct fixture *f = *state;

    plan_rate(f, 1);
    f->plan.depth = 1;
    prepare_stage(f, (struct stage){ .count = 10 });
    (void)peer_start(f, (struct peer){ .play = play_stall, .pause_ns = 30 * INTERVAL_NS });
    run_to_the_end(f);
    assert_true(counts_of(f)->lag_ns >= (30 - 9) * INTERVAL_NS);
    check_whole(f, 10);
}

static void test_who_catches_up_is_not_behind_any_more(void **state)
{
    struct fixture *f = *state;
    const struct pp_counts *counts;

    plan_rate(f, 1);
    f->plan.depth = 1;
    prepare_stage(f, (struct stage){ .count = 60 });
    (void)peer_start(f, (struct peer){ .play = play_stall, .pause_ns = 20 * INTERVAL_NS });
    run_to_the_end(f);
    counts = counts_of(f);
    /* The last message was sent so long before its answer came, at least. */
    assert_true(counts->lag_ns <=
                counts->last_ns - f->rtt.min_ns - (f->outcomes[0].start_ns + 59 * INTERVAL_NS));
    check_whole(f, 60);
}

/* The only message was due 300 ms before the phase began, and the next one is after its end. */
static void prepare_one_late(struct fixture *f, uint64_t time_ns)
{
    f->plan.rate = 1;
    f->plan.connections = 1;
    prepare_stage(f,
                  (struct stage){ .time_ns = time_ns, .start_in_ns = -300 * (int64_t)INTERVAL_NS });
}

static void test_a_message_that_went_out_late_is_not_owed_at_the_end(void **state)
{
    struct fixture *f = *state;

    prepare_one_late(f, 400 * INTERVAL_NS);
    echo_peers(f, 1);
    run_to_the_end(f);
    assert_int_equal(counts_of(f)->sent, 1);
    assert_int_equal(counts_of(f)->lag_ns, 0);
}

static void test_a_message_that_went_out_late_is_not_owed_at_an_interrupt(void **state)
{
    struct fixture *f = *state;

    prepare_one_late(f, 0);
    echo_peers(f, 1);
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 1 && counts_of(f)->received == 1);
    pp_client_interrupt(f->client);
    run(f);
    assert_int_equal(counts_of(f)->lag_ns, 0);
    check_books(f, 0);
}

static void test_nothing_is_sent_once_the_time_is_over(void **state)
{
    struct fixture *f = *state;

    plan_rate(f, 1);
    prepare_stage(f, (struct stage){ .time_ns = 10 * INTERVAL_NS,
                                     .start_in_ns = -20 * (int64_t)INTERVAL_NS });
    echo_peers(f, 1);
    run_to_the_end(f);
    assert_int_equal(counts_of(f)->sent, 0);
    assert_int_equal(counts_of(f)->lag_ns, 10 * INTERVAL_NS);
    assert_int_equal(counts_of(f)->unsent, 10);
    check_books(f, 0);
}

#define HICCUP_INTERVALS 1600
#define HICCUP_MESSAGES 10
#define HICCUP_DEPTH 4

/* Answers all but the last ones in time. */
static void play_hiccup(struct peer *peer, int fd)
{
    for (unsigned i = 0; i < HICCUP_INTERVALS - HICCUP_MESSAGES; i++) {
        if (!peer_read(peer, fd, NULL, 5))
            return;
        peer_write_text(fd, "PING\n");
    }
    peer_wait(peer);
    play_echo(peer, fd);
}

static void test_what_was_due_by_the_end_is_sent_and_timed_after_it(void **state)
{
    struct fixture *f = *state;

    plan_rate(f, 1);
    f->plan.depth = HICCUP_DEPTH;
    f->lasts = true;
    prepare_stage(f, (struct stage){ .time_ns = HICCUP_INTERVALS * INTERVAL_NS });
    (void)peer_start(f, (struct peer){ .play = play_hiccup });
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 1 && counts_of(f)->last_ns == end_ns(f));
    assert_true(counts_of(f)->sent <= HICCUP_INTERVALS - HICCUP_MESSAGES + HICCUP_DEPTH);
    (void)sem_post(&f->go_on[0]);
    run(f);
    peers_join(f);
    assert_int_equal(counts_of(f)->sent, HICCUP_INTERVALS);
    assert_int_equal(counts_of(f)->unsent, 0);
    assert_true(counts_of(f)->received <= HICCUP_INTERVALS - HICCUP_MESSAGES);
    assert_int_equal(counts_of(f)->received + counts_of(f)->drained, HICCUP_INTERVALS);
    assert_int_equal(f->late.total, HICCUP_INTERVALS);
    check_books(f, counts_of(f)->drained);
}

/* Thinks for long before the first answer. */
static void play_pause(struct peer *peer, int fd)
{
    const struct timespec pause = { .tv_nsec = 300 * (long)INTERVAL_NS };

    if (!peer_read(peer, fd, NULL, 5))
        return;
    (void)nanosleep(&pause, NULL);
    peer_write_text(fd, "PING\n");
    play_echo(peer, fd);
}

/* For want of a connection with room. */
static void test_a_message_that_waits_for_an_answer_is_late_and_not_delayed_by_the_client(
    void **state)
{
    struct fixture *f = *state;

    plan_rate(f, 1);
    f->plan.depth = 1;
    prepare_stage(f, (struct stage){ .count = 2 });
    (void)peer_start(f, (struct peer){ .play = play_pause });
    run_to_the_end(f);
    assert_true(f->late.max_ns >= 250 * INTERVAL_NS);
    assert_true(counts_of(f)->delayed_ns < f->late.max_ns);
    check_whole(f, 2);
}

/* One after the other, though all are due when the client comes to the schedule. */
static void test_what_waits_for_room_after_the_client_was_late_is_its_fault_too(void **state)
{
    struct fixture *f = *state;

    plan_rate(f, 1);
    f->plan.depth = 1;
    prepare_stage(f, (struct stage){ .count = 100, .start_in_ns = -300 * (int64_t)INTERVAL_NS });
    echo_peers(f, 1);
    run_to_the_end(f);
    assert_int_equal(counts_of(f)->delayed, 100);
    assert_true(counts_of(f)->delayed_ns >= 100 * 200 * INTERVAL_NS);
    check_whole(f, 100);
}

/* The schedule begins when the client comes to it, 300 ms late. */
static void test_what_the_client_itself_sends_late_is_told(void **state)
{
    struct fixture *f = *state;

    prepare_one_late(f, 400 * INTERVAL_NS);
    echo_peers(f, 1);
    run_to_the_end(f);
    assert_int_equal(counts_of(f)->delayed, 1);
    assert_true(counts_of(f)->delayed_ns >= 300 * INTERVAL_NS);
    assert_true(f->late.max_ns >= 300 * INTERVAL_NS);
}

static void test_when_one_connection_breaks_the_others_keep_the_schedule(void **state)
{
    struct fixture *f = *state;

    plan_rate(f, 3);
    prepare_stage(f, (struct stage){ .count = 60 });
    echo_peers(f, 2);
    (void)peer_start(f, (struct peer){ .last = "PI", .last_bytes = 2, .ending = RESET });
    run_to_the_end(f);
    assert_int_equal(pp_client_error(f->client)->kind, PP_ERROR_RUN);
    assert_non_null(strstr(pp_client_error(f->client)->text, "a connection broke"));
    assert_int_equal(counts_of(f)->sent, 60);
    assert_int_equal(counts_of(f)->failed_connections, 1);
    assert_int_equal(counts_of(f)->received, 60 - counts_of(f)->errors);
    assert_true(counts_of(f)->errors >= 1);
    check_books(f, 0);
}

/* ---- what has no answer at the end ---- */

static void test_a_message_without_an_answer_has_waited_from_when_it_was_due(void **state)
{
    struct fixture *f = *state;

    prepare_one_late(f, 400 * INTERVAL_NS);
    (void)peer_start(f, (struct peer){ .play = play_silence });
    f->drops = true;
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 1 && counts_of(f)->last_ns == end_ns(f));
    pp_client_interrupt(f->client);
    run(f);
    assert_int_equal(counts_of(f)->sent, 1);
    assert_true(counts_of(f)->unanswered_ns >= 400 * INTERVAL_NS);
    check_books(f, 1);
}

static void test_a_message_that_is_answered_after_the_end_is_a_sample(void **state)
{
    struct fixture *f = *state;

    prepare_one_late(f, 400 * INTERVAL_NS);
    (void)peer_start(f, (struct peer){ .holds_back = true, .last = "PING\n", .last_bytes = 5 });
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 1 && counts_of(f)->last_ns == end_ns(f));
    (void)sem_post(&f->go_on[0]);
    run(f);
    assert_int_equal(counts_of(f)->unanswered_ns, 0);
    assert_int_equal(counts_of(f)->drained, 1);
    assert_true(f->response.max_ns >= 400 * INTERVAL_NS);
    check_books(f, 1);
}

static void test_a_message_without_an_answer_has_waited_until_the_interrupt(void **state)
{
    struct fixture *f = *state;

    prepare_one_late(f, 0);
    (void)peer_start(f, (struct peer){ .play = play_silence });
    f->drops = true;
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->begun == 1 && counts_of(f)->sent == 1);
    pp_client_interrupt(f->client);
    run(f);
    assert_int_equal(counts_of(f)->unanswered_ns, counts_of(f)->last_ns - counts_of(f)->first_ns);
    check_books(f, 1);
}

static void test_once_all_is_answered_nothing_waits(void **state)
{
    struct fixture *f = *state;

    plan_rate(f, 2);
    prepare_stage(f, (struct stage){ .count = 20, .start_in_ns = -5 * (int64_t)INTERVAL_NS });
    echo_peers(f, 2);
    run_to_the_end(f);
    assert_int_equal(counts_of(f)->unanswered_ns, 0);
    check_whole(f, 20);
}

/* ---- phases ---- */

static void test_each_phase_has_a_schedule_of_its_own(void **state)
{
    struct fixture *f = *state;

    plan_rate(f, 2);
    ready(f);
    add_stage(f, (struct stage){ .time_ns = 10 * INTERVAL_NS });
    add_stage(f, (struct stage){ .count = 20 });
    listen_and_open(f);
    echo_peers(f, 2);
    run_to_the_end(f);
    assert_true(f->outcomes[0].counts.sent <= 10);
    assert_int_equal(f->outcomes[0].responses,
                     f->outcomes[0].counts.received + f->outcomes[0].counts.drained);
    assert_int_equal(bytes_at_peers(f), (f->outcomes[0].counts.sent + 20) * 5);
    assert_true(counts_of(f)->last_ns >= f->outcomes[1].start_ns + 19 * INTERVAL_NS);
    check_whole(f, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_no_message_is_sent_before_its_time),
        ON_EACH_ENGINE(test_nothing_is_sent_before_the_schedule_begins),
        ON_EACH_ENGINE(test_random_arrivals_follow_their_seed),
        ON_EACH_ENGINE(test_connections_take_turns),
        ON_EACH_ENGINE(test_in_a_given_time_as_many_are_sent_as_are_due),
        ON_EACH_ENGINE(test_messages_go_out_whatever_became_of_those_before),
        ON_EACH_ENGINE(test_a_stall_of_the_peer_counts_for_every_message_that_was_due_meanwhile),
        ON_EACH_ENGINE(test_with_depth_enough_a_stall_shows_in_the_round_trips_too),
        ON_EACH_ENGINE(test_latency_counts_from_the_schedule_however_late_the_client_itself_is),
        ON_EACH_ENGINE(test_no_more_messages_are_under_way_than_the_depth_allows),
        ON_EACH_ENGINE(test_how_far_behind_its_schedule_a_phase_ended_is_noted),
        ON_EACH_ENGINE(test_an_interrupt_notes_how_far_behind_the_schedule_is),
        ON_EACH_ENGINE(test_a_count_that_was_reached_late_is_behind_its_schedule),
        ON_EACH_ENGINE(test_who_catches_up_is_not_behind_any_more),
        ON_EACH_ENGINE(test_a_message_that_went_out_late_is_not_owed_at_the_end),
        ON_EACH_ENGINE(test_a_message_that_went_out_late_is_not_owed_at_an_interrupt),
        ON_EACH_ENGINE(test_nothing_is_sent_once_the_time_is_over),
        ON_EACH_ENGINE(test_what_was_due_by_the_end_is_sent_and_timed_after_it),
        ON_EACH_ENGINE(
            test_a_message_that_waits_for_an_answer_is_late_and_not_delayed_by_the_client),
        ON_EACH_ENGINE(test_what_waits_for_room_after_the_client_was_late_is_its_fault_too),
        ON_EACH_ENGINE(test_what_the_client_itself_sends_late_is_told),
        ON_EACH_ENGINE(test_when_one_connection_breaks_the_others_keep_the_schedule),
        ON_EACH_ENGINE(test_a_message_without_an_answer_has_waited_from_when_it_was_due),
        ON_EACH_ENGINE(test_a_message_that_is_answered_after_the_end_is_a_sample),
        ON_EACH_ENGINE(test_a_message_without_an_answer_has_waited_until_the_interrupt),
        ON_EACH_ENGINE(test_once_all_is_answered_nothing_waits),
        ON_EACH_ENGINE(test_each_phase_has_a_schedule_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
