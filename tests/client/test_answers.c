#include "client_support.h"

#include "wire/hello.h"

static void set_text(struct pp_plan_text *text, const char *value)
{
    text->bytes = (uint32_t)strlen(value);
    memcpy(text->text, value, text->bytes);
}

/* Redis, as far as a PING goes. */
static void plan_service(struct fixture *f, enum pp_expect how, const char *expected)
{
    set_text(&f->plan.send, "PING\r\n");
    f->plan.expect_how = how;
    if (expected)
        set_text(&f->plan.expect, expected);
}

static void plan_bytes(struct fixture *f, uint64_t bytes)
{
    plan_service(f, PP_EXPECT_BYTES, NULL);
    f->plan.expect_bytes = bytes;
}

/* Answers each request with the text, however that is cut into answers; so many requests at once,
 * and as the end of all with last. */
static void play_service(struct peer *peer, int fd)
{
    const uint32_t size = peer->f->plan.request.max;

    while (peer->messages < peer->good) {
        if (!peer_read(peer, fd, NULL, size * peer->each))
            return;
        peer->messages += peer->each;
        peer_write(fd, peer->text, strlen(peer->text), peer->in_pieces);
    }
    if (peer_read(peer, fd, NULL, size * peer->each))
        peer_write(fd, peer->last, peer->last_bytes, false);
}

static struct peer service(const char *text, uint32_t each)
{
    return (struct peer){ .play = play_service, .text = text, .each = each, .good = ALWAYS };
}

/* One that answers wrongly in the end. */
static struct peer bad_service(const char *text, uint64_t good, const char *last)
{
    struct peer peer = service(text, 1);

    peer.good = good;
    peer.last = last;
    peer.last_bytes = strlen(last);
    return peer;
}

static void check_service(struct fixture *f, const char *text, bool in_pieces)
{
    struct peer peer = service(text, 1);

    peer.in_pieces = in_pieces;
    prepare(f, 3, 200);
    for (int i = 0; i < 3; i++)
        (void)peer_start(f, peer);
    run_to_the_end(f);
    assert_int_equal(bytes_at_peers(f), 200 * 6);
    check_whole(f, 200);
}

/* As many answers as the depth in one write. */
static void check_coalesced(struct fixture *f, uint32_t depth, const char *text)
{
    f->plan.depth = depth;
    prepare(f, 1, 40 * depth);
    (void)peer_start(f, service(text, depth));
    run_to_the_end(f);
    check_whole(f, 40 * depth);
}

static void check_wrong(struct fixture *f, const struct peer *peer, const char *words,
                        uint64_t received)
{
    prepare(f, 1, 100);
    (void)peer_start(f, *peer);
    run_to_the_end(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG, words);
    assert_int_equal(counts_of(f)->received, received);
    check_books(f, counts_of(f)->sent - received);
}

/* ---- a text ---- */

static void test_an_answer_may_be_longer_than_its_request(void **state)
{
    plan_service(*state, PP_EXPECT_TEXT, "+PONG\r\n");
    check_service(*state, "+PONG\r\n", false);
}

static void test_an_answer_may_be_shorter_than_its_request(void **state)
{
    plan_service(*state, PP_EXPECT_TEXT, ":");
    check_service(*state, ":", false);
}

static void test_an_expected_text_may_come_in_pieces(void **state)
{
    plan_service(*state, PP_EXPECT_TEXT, "+PONG\r\n");
    check_service(*state, "+PONG\r\n", true);
}

static void test_expected_texts_may_come_all_at_once(void **state)
{
    plan_service(*state, PP_EXPECT_TEXT, "+PONG\r\n");
    check_coalesced(*state, 3, "+PONG\r\n+PONG\r\n+PONG\r\n");
}

static void test_another_text_than_the_expected_one_is_wrong(void **state)
{
    const struct peer peer = bad_service("+PONG\r\n", 7, "-ERR no\r\n");

    plan_service(*state, PP_EXPECT_TEXT, "+PONG\r\n");
    check_wrong(*state, &peer,
                "at byte 1 of round trip 8 of a connection, 2b 50 4f 4e 47 0d 0a was expected "
                "and 2d 45 52 52 20 6e 6f 0d received; the server does not answer as it is "
                "expected to, or bytes are damaged on the way",
                7);
}

static void test_the_request_itself_is_no_answer_where_a_text_is_expected(void **state)
{
    const struct peer peer = bad_service("", 0, "PING\r\n");

    plan_service(*state, PP_EXPECT_TEXT, "+PONG\r\n");
    check_wrong(*state, &peer, "at byte 1 of round trip 1", 0);
}

static void test_more_than_the_expected_text_is_wrong(void **state)
{
    const struct peer peer = bad_service("+PONG\r\n", 2, "+PONG\r\n+");

    plan_service(*state, PP_EXPECT_TEXT, "+PONG\r\n");
    check_wrong(*state, &peer,
                "1 more bytes came back than were asked for: 2b; the server does not answer as it "
                "is expected to",
                3);
}

static void test_whatever_comes_after_the_expected_text_was_not_asked_for(void **state)
{
    const struct peer peer = bad_service("+PONG\r\n", 2, "+PONG\r\n+POND");

    plan_service(*state, PP_EXPECT_TEXT, "+PONG\r\n");
    check_wrong(*state, &peer, "5 more bytes came back than were asked for: 2b 50 4f 4e 44;", 2);
}

static void test_which_of_the_answers_that_came_at_once_is_wrong_is_said(void **state)
{
    struct fixture *f = *state;
    struct peer peer = service("+PONG\r\n+PONG\r\n+POND\r\n", 3);

    plan_service(f, PP_EXPECT_TEXT, "+PONG\r\n");
    f->plan.depth = 3;
    check_wrong(f, &peer,
                "at byte 5 of round trip 3 of a connection, 47 0d 0a was expected and 44 0d "
                "0a received",
                0);
}

/* ---- so many bytes ---- */

static void test_an_answer_may_be_any_bytes_if_there_are_enough(void **state)
{
    plan_bytes(*state, 11);
    check_service(*state, "hello world", false);
}

static void test_so_many_bytes_may_come_in_pieces(void **state)
{
    plan_bytes(*state, 11);
    check_service(*state, "hello world", true);
}

static void test_so_many_bytes_may_come_for_several_answers_at_once(void **state)
{
    plan_bytes(*state, 5);
    check_coalesced(*state, 4, "aaaaabbbbbcccccddddd");
}

static void test_more_bytes_than_were_asked_for_are_wrong(void **state)
{
    const struct peer peer = bad_service("hello", 3, "hello!");

    plan_bytes(*state, 5);
    check_wrong(*state, &peer, "1 more bytes came back than were asked for: 21;", 4);
}

static void test_fewer_bytes_than_were_asked_for_are_no_answer(void **state)
{
    struct fixture *f = *state;
    struct peer peer = bad_service("hello", 3, "hell");

    peer.ending = CLOSE;
    plan_bytes(f, 5);
    prepare(f, 1, 100);
    (void)peer_start(f, peer);
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, -ENODATA, "the server closed it");
    assert_int_equal(counts_of(f)->received, 3);
    assert_int_equal(counts_of(f)->errors, 1);
    check_books(f, 0);
}

/* ---- until a text ---- */

static void test_an_answer_may_be_of_any_length_if_it_ends_as_it_should(void **state)
{
    plan_service(*state, PP_EXPECT_UNTIL, "\r\n");
    check_service(*state, "VALUE a 0 5\r\n", false);
}

static void test_the_text_that_ends_an_answer_may_be_all_of_it(void **state)
{
    plan_service(*state, PP_EXPECT_UNTIL, "\r\n");
    check_service(*state, "\r\n", false);
}

static void test_the_text_that_ends_an_answer_may_come_in_pieces(void **state)
{
    plan_service(*state, PP_EXPECT_UNTIL, "\r\nEND\r\n");
    check_service(*state, "VALUE a 0 5\r\nhello\r\nEN\r\nEND\r\n", true);
}

static void test_answers_that_end_with_a_text_may_come_all_at_once(void **state)
{
    plan_service(*state, PP_EXPECT_UNTIL, "\r\n");
    check_coalesced(*state, 4, "one\r\n\r\nthree\r\nfour\r\r\n");
}

/* The last one's end is in a packet of its own. */
static void play_end_later(struct peer *peer, int fd)
{
    while (peer_read(peer, fd, NULL, 6 * 2)) {
        peer_write_text(fd, "one\r\ntwo\r");
        peer_write_text(fd, "\n");
    }
}

static void test_answers_may_come_all_at_once_but_for_the_last_byte(void **state)
{
    struct fixture *f = *state;

    plan_service(f, PP_EXPECT_UNTIL, "\r\n");
    f->plan.depth = 2;
    prepare(f, 1, 100);
    (void)peer_start(f, (struct peer){ .play = play_end_later });
    run_to_the_end(f);
    check_whole(f, 100);
}

static void test_what_comes_after_the_end_is_wrong(void **state)
{
    const struct peer peer = bad_service("OK\r\n", 3, "OK\r\nO");

    plan_service(*state, PP_EXPECT_UNTIL, "\r\n");
    check_wrong(*state, &peer, "1 more bytes came back than were asked for: 4f;", 4);
}

static void test_an_answer_that_does_not_end_is_none(void **state)
{
    struct fixture *f = *state;
    struct peer peer = bad_service("OK\r\n", 3, "OK\r");

    peer.ending = CLOSE;
    plan_service(f, PP_EXPECT_UNTIL, "\r\n");
    prepare(f, 1, 100);
    (void)peer_start(f, peer);
    run_to_the_end(f);
    assert_int_equal(counts_of(f)->received, 3);
    assert_int_equal(counts_of(f)->errors, 1);
    check_books(f, 0);
}

/* ---- how much is checked ---- */

static void test_where_only_lengths_are_checked_any_bytes_will_do(void **state)
{
    struct fixture *f = *state;

    f->plan.verify = PP_VERIFY_LEN;
    prepare(f, 1, 100);
    (void)peer_start(f, service("PONG\n", 1));
    run_to_the_end(f);
    check_whole(f, 100);
}

static void test_where_only_lengths_are_checked_too_long_is_wrong(void **state)
{
    struct fixture *f = *state;
    const struct peer peer = bad_service("PONG\n", 5, "PONG\n\n");

    f->plan.verify = PP_VERIFY_LEN;
    check_wrong(f, &peer, "1 more bytes came back than were asked for: 0a;", 6);
}

static void test_where_nothing_is_checked_too_long_is_no_error(void **state)
{
    struct fixture *f = *state;

    f->plan.verify = PP_VERIFY_OFF;
    prepare(f, 1, 1);
    (void)peer_start(f, service("PONG\nand more", 1));
    run_to_the_end(f);
    check_whole(f, 1);
}

/* ---- sizes ---- */

static struct pp_sizes sizes(const char *text)
{
    struct pp_sizes read;
    struct pp_error err = { 0 };

    assert_int_equal(pp_sizes_parse(&read, text, &err), 0);
    return read;
}

static void plan_sizes(struct fixture *f, const char *request, const char *response)
{
    f->plan.sizes_given = true;
    f->plan.request = sizes(request);
    f->plan.response = sizes(response);
    f->plan.answers = !pp_sizes_equal(&f->plan.request, &f->plan.response);
}

static void check_sizes(struct fixture *f, uint32_t depth, bool in_pieces)
{
    plan_sizes(f, "uniform:1-3000", "uniform:1-3000");
    f->plan.depth = depth;
    prepare(f, 2, 100);
    for (int i = 0; i < 2; i++)
        (void)peer_start(f, (struct peer){ .play = play_echo, .in_pieces = in_pieces });
    run_to_the_end(f);
    assert_in_range(bytes_at_peers(f), 100 * 1000, 100 * 2000);
    check_whole(f, 100);
}

static void test_messages_of_many_sizes_come_back_whole(void **state)
{
    check_sizes(*state, 1, false);
}

static void test_messages_of_many_sizes_may_be_under_way_at_once(void **state)
{
    check_sizes(*state, 7, false);
}

/* An echo, but for one bit. */
static void play_wrong_echo(struct peer *peer, int fd)
{
    char data[2000];

    while (peer_read(peer, fd, data, sizeof data)) {
        if (peer->messages++ == 20)
            data[1234] ^= 1;
        peer_write(fd, data, sizeof data, false);
    }
}

static void test_one_wrong_bit_in_a_large_message_is_found(void **state)
{
    const struct peer peer = { .play = play_wrong_echo };

    plan_sizes(*state, "2000", "2000");
    check_wrong(*state, &peer, "at byte 1235 of round trip 21 of a connection", 20);
}

/* The answer to the message before, which has the same size. */
static void play_repeat(struct peer *peer, int fd)
{
    char data[64];

    while (peer_read(peer, fd, data, sizeof data)) {
        peer_write(fd, data, sizeof data, false);
        if (!peer_read(peer, fd, NULL, sizeof data))
            return;
        peer_write(fd, data, sizeof data, false);
    }
}

static void test_an_answer_that_was_given_before_is_wrong(void **state)
{
    const struct peer peer = { .play = play_repeat };

    plan_sizes(*state, "64", "64");
    check_wrong(*state, &peer, "of round trip 2 of a connection", 1);
}

/* ---- answers of another size ---- */

static void write_reply(char data[PP_HELLO_BYTES])
{
    const struct pp_hello_reply reply = {
        .version = "1", .engine = "epoll", .wait = "block", .host = "here", .threads = 1
    };

    pp_hello_reply_write(&reply, data);
}

/* What pingpong serve does: it is told of the sizes, and draws the same ones. */
static void play_answers(struct peer *peer, int fd)
{
    struct pp_pattern pattern;
    struct pp_random request_sizes, response_sizes;
    char data[PP_HELLO_BYTES];
    struct pp_hello hello;
    uint32_t at;

    if (!peer_read(peer, fd, data, sizeof data) || pp_hello_read(&hello, data) < 0 ||
        !hello.answers || pp_pattern_open_random(&pattern, 1, NULL) < 0)
        return;
    write_reply(data);
    peer_write(fd, data, sizeof data, peer->in_pieces);
    request_sizes.state = hello.request_seed;
    response_sizes.state = hello.response_seed;
    at = hello.response_at;
    while (peer_read(peer, fd, NULL, pp_sizes_next(&hello.request, &request_sizes))) {
        const uint32_t bytes = pp_sizes_next(&hello.response, &response_sizes);

        if (++peer->messages == peer->good)
            at = pp_pattern_after(&pattern, at, 1);
        peer_write(fd, pattern.bytes + at, bytes, false);
        at = pp_pattern_after(&pattern, at, bytes);
    }
    pp_pattern_close(&pattern);
}

static void check_answers(struct fixture *f, const char *request, const char *response,
                          bool in_pieces)
{
    plan_sizes(f, request, response);
    prepare(f, 3, 100);
    for (int i = 0; i < 3; i++)
        (void)peer_start(f, (struct peer){ .play = play_answers, .in_pieces = in_pieces });
    run_to_the_end(f);
    assert_int_equal(f->peers[0].messages + f->peers[1].messages + f->peers[2].messages, 100);
    check_whole(f, 100);
}

static void test_answers_have_the_size_that_was_agreed_on(void **state)
{
    check_answers(*state, "10", "5000", false);
}

static void test_answers_have_sizes_from_the_sequence_that_was_agreed_on(void **state)
{
    check_answers(*state, "uniform:1-900", "uniform:200-70000", false);
}

static void test_the_agreement_may_come_in_pieces(void **state)
{
    check_answers(*state, "64", "1", true);
}

static void test_with_a_depth_answers_have_the_sizes_agreed_on(void **state)
{
    ((struct fixture *)*state)->plan.depth = 5;
    check_answers(*state, "uniform:1-900", "uniform:200-7000", false);
}

static void test_an_answer_of_another_size_that_is_shifted_by_a_byte_is_wrong(void **state)
{
    const struct peer peer = { .play = play_answers, .good = 5 };

    plan_sizes(*state, "10", "200");
    check_wrong(*state, &peer, "of round trip 5 of a connection", 4);
}

static void check_disagreement(struct fixture *f, const struct peer *peer, int code,
                               const char *words)
{
    plan_sizes(f, "10", "200");
    prepare(f, 1, 100);
    (void)peer_start(f, *peer);
    run_to_the_end(f);
    check_error(f, PP_ERROR_RUN, code, words);
    assert_int_equal(counts_of(f)->sent, 0);
    assert_int_equal(f->connected, 0);
}

static void test_a_plain_echo_server_cannot_give_answers_of_another_size(void **state)
{
    const struct peer peer = { .play = play_echo };

    check_disagreement(*state, &peer, -EPROTO, "only pingpong can give responses of another size");
}

static void play_talkative(struct peer *peer, int fd)
{
    char data[PP_HELLO_BYTES + 2] = "";

    if (!peer_read(peer, fd, NULL, PP_HELLO_BYTES))
        return;
    write_reply(data);
    memcpy(data + PP_HELLO_BYTES, "+\n", 2);
    peer_write(fd, data, sizeof data, false);
}

static void test_more_than_the_agreement_is_wrong(void **state)
{
    struct fixture *f = *state;

    plan_sizes(f, "10", "200");
    prepare(f, 1, 100);
    (void)peer_start(f, (struct peer){ .play = play_talkative, .ending = CLOSE });
    run_to_the_end(f);
    check_error(f, PP_ERROR_WRONG_ECHO, -EBADMSG,
                "2 more bytes came back than were asked for: 2b 0a;");
    assert_int_equal(counts_of(f)->sent, 0);
}

static void play_close(struct peer *peer, int fd)
{
    (void)peer_read(peer, fd, NULL, PP_HELLO_BYTES);
}

static void play_silence(struct peer *peer, int fd)
{
    peer_read_on(peer, fd);
}

static void test_a_server_that_closes_when_asked_is_an_error(void **state)
{
    const struct peer peer = { .play = play_close, .ending = CLOSE };

    check_disagreement(*state, &peer, -ENODATA, "the server closed it");
}

/* What it took to find out who answers was all of the time but a moment. */
static void test_a_server_that_is_silent_when_asked_has_what_is_left_of_the_time(void **state)
{
    struct fixture *f = *state;
    const struct peer peer = { .play = play_silence };

    f->plan.connect_timeout_ns = 3600 * PP_NS_PER_S;
    f->greeting_ns = f->plan.connect_timeout_ns - 10 * PP_NS_PER_MS;
    f->drops = true;
    check_disagreement(f, &peer, -ETIMEDOUT, "only pingpong can give responses of another size");
}

static void test_a_server_is_not_asked_where_no_time_is_left(void **state)
{
    struct fixture *f = *state;
    const struct peer peer = { .play = play_silence };

    f->greeting_ns = 2 * f->plan.connect_timeout_ns;
    f->drops = true;
    check_disagreement(f, &peer, -ETIMEDOUT, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_an_answer_may_be_longer_than_its_request),
        ON_EACH_ENGINE(test_an_answer_may_be_shorter_than_its_request),
        ON_EACH_ENGINE(test_an_expected_text_may_come_in_pieces),
        ON_EACH_ENGINE(test_expected_texts_may_come_all_at_once),
        ON_EACH_ENGINE(test_another_text_than_the_expected_one_is_wrong),
        ON_EACH_ENGINE(test_the_request_itself_is_no_answer_where_a_text_is_expected),
        ON_EACH_ENGINE(test_more_than_the_expected_text_is_wrong),
        ON_EACH_ENGINE(test_whatever_comes_after_the_expected_text_was_not_asked_for),
        ON_EACH_ENGINE(test_which_of_the_answers_that_came_at_once_is_wrong_is_said),
        ON_EACH_ENGINE(test_an_answer_may_be_any_bytes_if_there_are_enough),
        ON_EACH_ENGINE(test_so_many_bytes_may_come_in_pieces),
        ON_EACH_ENGINE(test_so_many_bytes_may_come_for_several_answers_at_once),
        ON_EACH_ENGINE(test_more_bytes_than_were_asked_for_are_wrong),
        ON_EACH_ENGINE(test_fewer_bytes_than_were_asked_for_are_no_answer),
        ON_EACH_ENGINE(test_an_answer_may_be_of_any_length_if_it_ends_as_it_should),
        ON_EACH_ENGINE(test_the_text_that_ends_an_answer_may_be_all_of_it),
        ON_EACH_ENGINE(test_the_text_that_ends_an_answer_may_come_in_pieces),
        ON_EACH_ENGINE(test_answers_that_end_with_a_text_may_come_all_at_once),
        ON_EACH_ENGINE(test_answers_may_come_all_at_once_but_for_the_last_byte),
        ON_EACH_ENGINE(test_what_comes_after_the_end_is_wrong),
        ON_EACH_ENGINE(test_an_answer_that_does_not_end_is_none),
        ON_EACH_ENGINE(test_where_only_lengths_are_checked_any_bytes_will_do),
        ON_EACH_ENGINE(test_where_only_lengths_are_checked_too_long_is_wrong),
        ON_EACH_ENGINE(test_where_nothing_is_checked_too_long_is_no_error),
        ON_EACH_ENGINE(test_messages_of_many_sizes_come_back_whole),
        ON_EACH_ENGINE(test_messages_of_many_sizes_may_be_under_way_at_once),
        ON_EACH_ENGINE(test_one_wrong_bit_in_a_large_message_is_found),
        ON_EACH_ENGINE(test_an_answer_that_was_given_before_is_wrong),
        ON_EACH_ENGINE(test_answers_have_the_size_that_was_agreed_on),
        ON_EACH_ENGINE(test_answers_have_sizes_from_the_sequence_that_was_agreed_on),
        ON_EACH_ENGINE(test_the_agreement_may_come_in_pieces),
        ON_EACH_ENGINE(test_with_a_depth_answers_have_the_sizes_agreed_on),
        ON_EACH_ENGINE(test_an_answer_of_another_size_that_is_shifted_by_a_byte_is_wrong),
        ON_EACH_ENGINE(test_a_plain_echo_server_cannot_give_answers_of_another_size),
        ON_EACH_ENGINE(test_more_than_the_agreement_is_wrong),
        ON_EACH_ENGINE(test_a_server_that_closes_when_asked_is_an_error),
        ON_EACH_ENGINE(test_a_server_that_is_silent_when_asked_has_what_is_left_of_the_time),
        ON_EACH_ENGINE(test_a_server_is_not_asked_where_no_time_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
