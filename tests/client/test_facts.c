/* What is known of connections beside their samples: how evenly they were served, and what the
 * kernel says of them. */
#include "client/conn.h"
#include "client_support.h"
#include "measure/stat.h"

#include <time.h>

#define SLOW_NS (300 * PP_NS_PER_US)

/* Connected, and nothing has begun. */
static void connect_only(struct fixture *f)
{
    f->holds_back = true;
    f->stays = true;
    pp_client_connect(f->client, 0);
    RUN_UNTIL(f, f->connected == 1);
    pp_client_prepare(f->client);
}

/* As many as all peers together will answer; then each owes its connection one. */
static void run_until_received(struct fixture *f, uint64_t count)
{
    begin_stage(f);
    RUN_UNTIL(f, pp_client_received(f->client) == count);
    pp_client_interrupt(f->client);
}

static void hang_up(struct fixture *f)
{
    pp_client_disconnect(f->client, false);
    run(f);
}

static struct pp_spread spread_of(const struct fixture *f)
{
    struct pp_spread spread = { 0 };

    pp_client_spread_add(f->client, &spread);
    return spread;
}

static struct pp_tcp_summary tcp_of(const struct fixture *f)
{
    struct pp_tcp_summary tcp = { 0 };

    pp_client_tcp_add(f->client, &tcp);
    return tcp;
}

/* ---- spread ---- */

static void test_the_slowest_the_fastest_and_all_together_are_counted(void **state)
{
    static const uint64_t good[] = { 20, 10, 40, 30 };
    struct fixture *f = *state;
    struct pp_spread spread;

    prepare(f, COUNT_OF(good), ALWAYS);
    for (size_t i = 0; i < COUNT_OF(good); i++)
        (void)peer_start(f, (struct peer){ .good = good[i] });
    connect_only(f);
    run_until_received(f, 100);
    spread = spread_of(f);
    assert_int_equal(spread.connections, 4);
    assert_int_equal(spread.least, 10);
    assert_int_equal(spread.most, 40);
    assert_true(spread.sum == 100 && spread.sum_squares == 3000);
    assert_true(pp_stat_jain(spread.connections, spread.sum, spread.sum_squares) ==
                100.0 * 100 / (4 * 3000));
    assert_int_equal(spread.with_p99, 0);
    hang_up(f);
}

static void test_a_connection_that_was_never_served_is_the_slowest(void **state)
{
    struct fixture *f = *state;

    prepare(f, 2, ALWAYS);
    (void)peer_start(f, (struct peer){ .good = 50 });
    (void)peer_start(f, (struct peer){ .good = 0 });
    connect_only(f);
    run_until_received(f, 50);
    assert_int_equal(spread_of(f).least, 0);
    assert_int_equal(spread_of(f).most, 50);
    hang_up(f);
}

/* Each takes the same time, but for what the machine adds. */
static void play_slowly(struct peer *peer, int fd)
{
    const struct timespec pause = { .tv_nsec = (long)peer->pause_ns };
    char data[5];

    for (uint32_t i = 0; i < peer->each && peer_read(peer, fd, data, sizeof data); i++) {
        (void)nanosleep(&pause, NULL);
        peer_write(fd, data, sizeof data, false);
    }
}

static void test_p99_is_of_the_connections_that_have_samples_enough(void **state)
{
    struct fixture *f = *state;
    struct pp_spread spread;

    prepare(f, 3, ALWAYS);
    (void)peer_start(f, (struct peer){ .good = 1000 });
    (void)peer_start(f, (struct peer){ .good = 999 });
    (void)peer_start(f, (struct peer){ .play = play_slowly, .each = 1000, .pause_ns = SLOW_NS });
    connect_only(f);
    run_until_received(f, 2999);
    spread = spread_of(f);
    assert_int_equal(spread.with_p99, 2);
    assert_true(spread.p99_most_ns >= SLOW_NS);
    assert_in_range(spread.p99_least_ns, 1, spread.p99_most_ns);
    assert_true(spread.p99_most_ns <= f->rtt.max_ns);
    hang_up(f);
}

static void test_a_phase_counts_nothing_of_the_one_before_it(void **state)
{
    struct fixture *f = *state;
    struct pp_spread spread;

    f->plan.connections = 2;
    ready(f);
    add_stage(f, (struct stage){ .count = 2000 });
    add_stage(f, (struct stage){ .count = 50 });
    listen_and_open(f);
    echo_peers(f, 2);
    connect_only(f);
    begin_stage(f);
    RUN_UNTIL(f, f->finished == 1);
    assert_true(spread_of(f).sum == 2000);
    pp_client_prepare(f->client);
    assert_true(spread_of(f).sum == 0);
    begin_stage(f);
    RUN_UNTIL(f, f->finished == 2);
    spread = spread_of(f);
    assert_true(spread.sum == 50);
    assert_int_equal(spread.with_p99, 0);
    hang_up(f);
}

/* ---- TCP ---- */

static void test_tcp_is_what_the_sockets_say(void **state)
{
    struct fixture *f = *state;
    struct pp_tcp_summary tcp;
    char congestion[sizeof tcp.congestion] = "";
    socklen_t len = sizeof congestion - 1;
    int mss = 0;
    socklen_t mss_len = sizeof mss;

    prepare(f, 3, 300);
    echo_peers(f, 3);
    connect_only(f);
    begin_stage(f);
    RUN_UNTIL(f, f->finished == 1);
    tcp = tcp_of(f);
    assert_int_equal(getsockopt(f->client->conns[0].fd, IPPROTO_TCP, TCP_MAXSEG, &mss, &mss_len),
                     0);
    assert_int_equal(
        getsockopt(f->client->conns[0].fd, IPPROTO_TCP, TCP_CONGESTION, congestion, &len), 0);
    assert_int_equal(tcp.connections, 3);
    assert_int_equal(tcp.retransmits, 0);
    assert_int_equal(tcp.mss_least, mss);
    assert_int_equal(tcp.mss_most, mss);
    assert_string_equal(tcp.congestion, congestion);
    assert_true(tcp.min_rtt_ns > 0);
    hang_up(f);
}

/* As if the kernel had counted them before and during the phase. */
static void test_only_retransmits_of_the_phase_count(void **state)
{
    struct fixture *f = *state;

    prepare(f, 2, 100);
    echo_peers(f, 2);
    connect_only(f);
    assert_int_equal(f->client->rests[0].retransmits_before, 0);
    f->client->rests[0].retransmits_before -= 5;
    f->client->rests[1].retransmits_before -= 3;
    assert_int_equal(tcp_of(f).retransmits, 8);
    pp_client_prepare(f->client);
    assert_int_equal(tcp_of(f).retransmits, 0);
    hang_up(f);
}

/* It is gone before it could be asked at the end. */
static void test_retransmits_of_a_connection_that_broke_are_kept(void **state)
{
    struct fixture *f = *state;

    prepare(f, 3, ALWAYS);
    (void)peer_start(f, (struct peer){ .good = 5, .ending = CLOSE });
    echo_peers(f, 2);
    connect_only(f);
    begin_stage(f);
    for (unsigned i = 0; i < 3; i++)
        f->client->rests[i].retransmits_before -= 4;
    RUN_UNTIL(f, counts_of(f)->failed_connections == 1);
    pp_client_interrupt(f->client);
    assert_int_equal(tcp_of(f).connections, 2);
    assert_int_equal(tcp_of(f).retransmits, 12);
    assert_int_equal(spread_of(f).connections, 3);
    hang_up(f);
}

static void test_of_datagrams_there_is_no_tcp_to_tell(void **state)
{
    struct fixture *f = *state;

    f->plan.socket.dgram = true;
    f->plan.sizes_given = true;
    f->plan.request = f->plan.response = pp_sizes_of(64);
    prepare(f, 2, 100);
    connect_only(f);
    assert_int_equal(tcp_of(f).connections, 0);
    hang_up(f);
}

static void test_of_connections_for_one_round_trip_there_is_no_tcp_to_tell(void **state)
{
    struct fixture *f = *state;

    f->plan.crr = true;
    prepare(f, 2, 20);
    (void)peer_start(f, (struct peer){ .play = play_echo, .accepts = true });
    connect_only(f);
    begin_stage(f);
    RUN_UNTIL(f, f->finished == 1);
    assert_int_equal(tcp_of(f).connections, 0);
    assert_true(spread_of(f).sum == 20);
    hang_up(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_the_slowest_the_fastest_and_all_together_are_counted),
        ON_EACH_ENGINE(test_a_connection_that_was_never_served_is_the_slowest),
        ON_EACH_ENGINE(test_p99_is_of_the_connections_that_have_samples_enough),
        ON_EACH_ENGINE(test_a_phase_counts_nothing_of_the_one_before_it),
        ON_EACH_ENGINE(test_tcp_is_what_the_sockets_say),
        ON_EACH_ENGINE(test_only_retransmits_of_the_phase_count),
        ON_EACH_ENGINE(test_retransmits_of_a_connection_that_broke_are_kept),
        ON_EACH_ENGINE(test_of_datagrams_there_is_no_tcp_to_tell),
        ON_EACH_ENGINE(test_of_connections_for_one_round_trip_there_is_no_tcp_to_tell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
