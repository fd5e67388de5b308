#include "base/container.h"
#include "base/random.h"
#include "wire/hello.h"
#include "wire/pattern.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define MUTATIONS 100000

#define REPLY_MAGIC "\x9dpingpong here 1\n"

#define ANSWERS                                                                                    \
    "answers=1\nrequest=64\nresponse=64-1400*3,9000*1\nrequest_seed=7\nresponse_seed=8\n"          \
    "response_at=9\n"

#define REPLY                                                                                      \
    "version=1\nengine=epoll\nwait=sleeps\nhost=b\nthreads=2\nuser_ns=3\nsystem_ns=4\n"            \
    "context_switches=5\nsyscalls=6\n"

static const struct pp_hello_reply a_reply = {
    .version = "0.1.0",
    .engine = "io_uring (multishot)",
    .wait = "looks for 50 \xc2\xb5s, then sleeps",
    .host = "b.example",
    .threads = 4,
    .user_ns = INT64_MAX,
    .system_ns = 0,
    .context_switches = 1,
    .syscalls = UINT64_C(1234567890123456789),
    .boot_id = "8c3f1f3e-6f0e-4f0c-9d51-0d4c3f0f6f1a",
    .says_bytes = true,
    .bytes = UINT64_C(9876543210),
    .connections = 7,
};

static struct pp_sizes one_to(uint32_t max)
{
    return (struct pp_sizes){
        .count = 1, .min = 1, .max = max, .ranges = { { .low = 1, .high = max, .weight_to = 1 } }
    };
}

static struct pp_hello a_hello(void)
{
    return (struct pp_hello){
        .answers = true,
        .request = pp_sizes_of(64),
        .response = one_to(PP_SIZES_BYTES_MAX),
        .request_seed = UINT64_MAX,
        .response_seed = 0,
        .response_at = PP_PATTERN_RANDOM_PERIOD_MIN - 1,
    };
}

static void frame(char data[PP_HELLO_BYTES], const char *magic, const char *lines)
{
    memset(data, 0, PP_HELLO_BYTES);
    memcpy(data, magic, strlen(magic));
    memcpy(data + strlen(magic), lines, strlen(lines));
}

static int read_hello(struct pp_hello *hello, const char *lines)
{
    char data[PP_HELLO_BYTES];

    frame(data, PP_HELLO_MAGIC, lines);
    return pp_hello_read(hello, data);
}

static int read_reply(struct pp_hello_reply *reply, const char *lines)
{
    char data[PP_HELLO_BYTES];

    frame(data, REPLY_MAGIC, lines);
    return pp_hello_reply_read(reply, data);
}

static void check_refused(const char *lines)
{
    const struct pp_hello before = a_hello();
    struct pp_hello hello;

    memcpy(&hello, &before, sizeof hello);
    if (read_hello(&hello, lines) != -EINVAL)
        fail_msg("read: %s", lines);
    assert_memory_equal(&hello, &before, sizeof hello);
}

static void check_reply_refused(const char *lines)
{
    struct pp_hello_reply reply;

    memcpy(&reply, &a_reply, sizeof reply);
    if (read_reply(&reply, lines) != -EINVAL)
        fail_msg("read: %s", lines);
    assert_memory_equal(&reply, &a_reply, sizeof reply);
}

static void check_same(const struct pp_hello_reply *a, const struct pp_hello_reply *b)
{
    assert_string_equal(a->version, b->version);
    assert_string_equal(a->engine, b->engine);
    assert_string_equal(a->wait, b->wait);
    assert_string_equal(a->host, b->host);
    assert_int_equal(a->threads, b->threads);
    assert_true(a->user_ns == b->user_ns && a->system_ns == b->system_ns);
    assert_true(a->context_switches == b->context_switches && a->syscalls == b->syscalls);
    assert_string_equal(a->boot_id, b->boot_id);
    assert_true(a->says_bytes == b->says_bytes && a->bytes == b->bytes);
    assert_true(a->connections == b->connections);
}

/* As one of a server that does not say what is new. */
static void test_a_reply_without_what_not_all_servers_say_is_read(void **state)
{
    char data[PP_HELLO_BYTES];
    struct pp_hello_reply reply = a_reply, read;

    (void)state;
    reply.says_bytes = false;
    reply.bytes = reply.connections = 0;
    reply.boot_id[0] = '\0';
    pp_hello_reply_write(&reply, data);
    assert_null(strstr(data, "connections="));
    assert_int_equal(pp_hello_reply_read(&read, data), 0);
    check_same(&read, &reply);
}

/* lines without the one that begins at line; returns where the next one begins. */
static const char *without(char *out, const char *lines, const char *line)
{
    const char *next = strchr(line, '\n') + 1;

    memcpy(out, lines, (size_t)(line - lines));
    memcpy(out + (line - lines), next, strlen(next) + 1);
    return next;
}

static void test_a_hello_without_answers_is_read_back(void **state)
{
    const struct pp_hello hello = { .answers = false };
    struct pp_hello read = a_hello();
    char data[PP_HELLO_BYTES];

    (void)state;
    assert_int_equal(pp_hello_write(&hello, data), 0);
    assert_int_equal(pp_hello_read(&read, data), 0);
    assert_false(read.answers);
    assert_string_equal(data, PP_HELLO_MAGIC "answers=0\n");
}

static void test_a_hello_with_answers_is_read_back(void **state)
{
    const struct pp_hello hello = a_hello();
    struct pp_hello read = { 0 };
    char data[PP_HELLO_BYTES];

    (void)state;
    assert_int_equal(pp_hello_write(&hello, data), 0);
    assert_int_equal(pp_hello_read(&read, data), 0);
    assert_true(read.answers);
    assert_true(pp_sizes_equal(&read.request, &hello.request));
    assert_true(pp_sizes_equal(&read.response, &hello.response));
    assert_true(read.request_seed == hello.request_seed);
    assert_true(read.response_seed == hello.response_seed);
    assert_int_equal(read.response_at, hello.response_at);
}

static void test_a_reply_is_read_back(void **state)
{
    struct pp_hello_reply read = { 0 };
    char data[PP_HELLO_BYTES];

    (void)state;
    pp_hello_reply_write(&a_reply, data);
    assert_int_equal(pp_hello_reply_read(&read, data), 0);
    check_same(&read, &a_reply);
}

static void test_all_that_is_not_text_is_zero(void **state)
{
    const struct pp_hello hello = a_hello();
    char data[PP_HELLO_BYTES];

    (void)state;
    memset(data, 'x', sizeof data);
    assert_int_equal(pp_hello_write(&hello, data), 0);
    for (size_t i = strlen(data); i < sizeof data; i++)
        assert_int_equal(data[i], 0);
    memset(data, 'x', sizeof data);
    pp_hello_reply_write(&a_reply, data);
    for (size_t i = strlen(data); i < sizeof data; i++)
        assert_int_equal(data[i], 0);
}

static struct pp_sizes ranges(uint32_t count)
{
    struct pp_sizes sizes = { .count = count, .min = 10000000, .max = PP_SIZES_BYTES_MAX };

    for (uint32_t i = 0; i < count; i++)
        sizes.ranges[i] = (struct pp_sizes_range){ 10000000, PP_SIZES_BYTES_MAX, i + 1 };
    return sizes;
}

static void test_sizes_of_too_many_ranges_are_refused_when_written(void **state)
{
    struct pp_hello hello = a_hello();
    char data[PP_HELLO_BYTES];

    (void)state;
    hello.response = ranges(50);
    assert_int_equal(pp_hello_write(&hello, data), 0);
    assert_int_equal(pp_hello_read(&hello, data), 0);
    hello.response = ranges(PP_SIZES_RANGES_MAX);
    assert_int_equal(pp_hello_write(&hello, data), -E2BIG);
    hello.response = ranges(30);
    hello.request = ranges(30);
    assert_int_equal(pp_hello_write(&hello, data), -E2BIG);
}

static void test_the_longest_reply_fits(void **state)
{
    struct pp_hello_reply reply = { .threads = PP_HELLO_THREADS_MAX,
                                    .user_ns = INT64_MAX,
                                    .system_ns = INT64_MAX,
                                    .context_switches = INT64_MAX,
                                    .syscalls = INT64_MAX };
    struct pp_hello_reply read = { 0 };
    char data[PP_HELLO_BYTES];

    (void)state;
    memset(reply.version, 'v', sizeof reply.version - 1);
    memset(reply.engine, 'e', sizeof reply.engine - 1);
    memset(reply.wait, 'w', sizeof reply.wait - 1);
    memset(reply.host, 'h', sizeof reply.host - 1);
    pp_hello_reply_write(&reply, data);
    assert_int_equal(pp_hello_reply_read(&read, data), 0);
    check_same(&read, &reply);
}

static void test_a_connection_that_begins_otherwise_is_no_hello(void **state)
{
    char data[] = PP_HELLO_MAGIC "answers=0\n";
    const uint32_t magic_bytes = sizeof PP_HELLO_MAGIC - 1;

    (void)state;
    assert_true(pp_hello_begins(data, sizeof data));
    assert_true(pp_hello_begins(data, magic_bytes));
    for (uint32_t len = 0; len < magic_bytes; len++)
        assert_false(pp_hello_begins(data, len));
    for (uint32_t i = 0; i < magic_bytes; i++) {
        data[i] ^= 1;
        assert_false(pp_hello_begins(data, sizeof data));
        data[i] ^= 1;
    }
}

/* An echo server returns a hello as it is: that is no reply. */
static void test_a_hello_is_no_reply_and_a_reply_no_hello(void **state)
{
    struct pp_hello hello = a_hello();
    struct pp_hello_reply reply;
    char data[PP_HELLO_BYTES];

    (void)state;
    assert_int_equal(pp_hello_write(&hello, data), 0);
    assert_int_equal(pp_hello_reply_read(&reply, data), -EINVAL);
    frame(data, PP_HELLO_MAGIC, REPLY);
    assert_int_equal(pp_hello_reply_read(&reply, data), -EINVAL);
    frame(data, REPLY_MAGIC, ANSWERS);
    assert_int_equal(pp_hello_read(&hello, data), -EINVAL);
    assert_false(pp_hello_begins(data, sizeof data));
}

static void test_each_name_is_needed(void **state)
{
    char lines[PP_HELLO_BYTES];
    const char *line = ANSWERS;
    struct pp_hello hello;
    struct pp_hello_reply reply;

    (void)state;
    assert_int_equal(read_hello(&hello, ANSWERS), 0);
    while (*line) {
        static const char answers[] = ANSWERS;
        const size_t at = strlen(answers) - strlen(line);

        line = without(lines, answers, answers + at);
        check_refused(lines);
    }
    assert_int_equal(read_reply(&reply, REPLY), 0);
    for (line = REPLY; *line;) {
        static const char replies[] = REPLY;
        const size_t at = strlen(replies) - strlen(line);

        line = without(lines, replies, replies + at);
        check_reply_refused(lines);
    }
    check_refused("");
    check_reply_refused("");
}

static void test_unknown_names_are_skipped(void **state)
{
    struct pp_hello hello;
    struct pp_hello_reply reply;

    (void)state;
    assert_int_equal(read_hello(&hello, "color=blue\n" ANSWERS "answers2=\nx=a=b\n"), 0);
    assert_int_equal(hello.response_at, 9);
    assert_int_equal(read_hello(&hello, "request=garbage\nanswers=0\n"), 0);
    assert_int_equal(read_reply(&reply, "thread=9\n" REPLY "threadss=9\n"), 0);
    assert_int_equal(reply.threads, 2);
}

static void test_of_two_lines_with_one_name_the_last_stands(void **state)
{
    struct pp_hello hello;
    struct pp_hello_reply reply;

    (void)state;
    assert_int_equal(read_hello(&hello, ANSWERS "response_at=10\nresponse_at=11\n"), 0);
    assert_int_equal(hello.response_at, 11);
    check_refused(ANSWERS "response_at=x\n");
    assert_int_equal(read_hello(&hello, "answers=x\n" ANSWERS), 0);
    assert_int_equal(read_reply(&reply, REPLY "host=c\n"), 0);
    assert_string_equal(reply.host, "c");
}

static void test_numbers_that_are_none_or_out_of_range_are_refused(void **state)
{
    static const char *const wrong[] = {
        "answers=2",
        "answers=",
        "answers=-1",
        "answers=1.0",
        "answers= 1",
        "answers=true",
        "request_seed=-1",
        "request_seed=1k",
        "request_seed=+",
        "response_seed=0x7",
        "response_seed=",
        "request_seed=1.0",
        "request_seed=18446744073709551616",
        "response_at=65519",
        "response_at=4294967305",
        "response_at=-1",
        "response_at=1 ",
        "response_at=",
        "response_at=18446744073709551625",
    };
    static const char *const wrong_in_reply[] = {
        "threads=0",
        "threads=4294967296",
        "threads=4294967298",
        "threads=-1",
        "threads=",
        "user_ns=-1",
        "user_ns=18446744073709551616",
        "system_ns=1.0",
        "syscalls=1k",
        "context_switches= 1",
        "threads=257",
        "user_ns=18446744073709551615",
        "user_ns=9223372036854775808",
        "system_ns=18446744073709551615",
        "system_ns=9223372036854775808",
        "context_switches=18446744073709551615",
        "context_switches=9223372036854775808",
        "syscalls=18446744073709551615",
        "syscalls=9223372036854775808",
    };
    char lines[PP_HELLO_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        (void)snprintf(lines, sizeof lines, "%s%s\n", ANSWERS, wrong[i]);
        check_refused(lines);
    }
    for (size_t i = 0; i < COUNT_OF(wrong_in_reply); i++) {
        (void)snprintf(lines, sizeof lines, "%s%s\n", REPLY, wrong_in_reply[i]);
        check_reply_refused(lines);
    }
}

/* In a second two threads, and one beside them, may have used that much. */
static void test_what_a_server_has_cost_is_within_what_its_threads_can_do(void **state)
{
    static const struct {
        struct pp_hello_reply more;
        bool follows;
    } cases[] = {
        { { .user_ns = 0 }, true },
        { { .user_ns = 1000000000, .system_ns = 1000000000 }, true },
        { { .context_switches = 1000000, .syscalls = 10000000 }, true },
        { { .user_ns = 7000000000 }, false },
        { { .system_ns = 7000000000 }, false },
        { { .context_switches = 700000000 }, false },
        { { .syscalls = 700000000 }, false },
        { { .user_ns = INT64_MAX - 3 }, false },
        { { .syscalls = INT64_MAX - 6 }, false },
        { { .user_ns = UINT64_MAX }, false }, /* back by one, as all that follow */
        { { .system_ns = UINT64_MAX }, false },
        { { .context_switches = UINT64_MAX }, false },
        { { .syscalls = UINT64_MAX }, false },
        { { .threads = 1 }, false },
    };
    struct pp_hello_reply before;

    (void)state;
    assert_int_equal(read_reply(&before, REPLY), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pp_hello_reply after = before;

        after.threads += cases[i].more.threads;
        after.user_ns += cases[i].more.user_ns;
        after.system_ns += cases[i].more.system_ns;
        after.context_switches += cases[i].more.context_switches;
        after.syscalls += cases[i].more.syscalls;
        if (pp_hello_reply_follows(&before, &after, 1000000000) != cases[i].follows)
            fail_msg("case %zu", i);
    }
}

static void test_sizes_of_0_or_over_the_maximum_are_refused(void **state)
{
    static const char *const sizes[] = {
        "", "0", "67108865", "0-5", "1-67108865", "9-8", "64,65", "64 ", "4294967360", "1k",
    };
    char lines[PP_HELLO_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        (void)snprintf(lines, sizeof lines, "%srequest=%s\n", ANSWERS, sizes[i]);
        check_refused(lines);
        (void)snprintf(lines, sizeof lines, "%sresponse=%s\n", ANSWERS, sizes[i]);
        check_refused(lines);
    }
}

static void test_lines_without_an_end_a_name_or_an_equals_sign_are_refused(void **state)
{
    (void)state;
    check_refused(ANSWERS "x=1");
    check_refused(ANSWERS "x");
    check_refused(ANSWERS "\n");
    check_refused("\n" ANSWERS);
    check_refused(ANSWERS "x\n");
    check_refused(ANSWERS "=1\n");
    check_refused("x\n" ANSWERS);
    check_reply_refused(REPLY "x=1");
}

static void test_zeros_are_at_the_end_alone_and_at_least_one(void **state)
{
    const uint32_t used = sizeof PP_HELLO_MAGIC ANSWERS - 1;
    char data[PP_HELLO_BYTES];
    struct pp_hello hello;

    (void)state;
    frame(data, PP_HELLO_MAGIC, ANSWERS);
    assert_int_equal(pp_hello_read(&hello, data), 0);
    for (uint32_t i = used + 1; i < PP_HELLO_BYTES; i++) {
        data[i] = 'x';
        assert_int_equal(pp_hello_read(&hello, data), -EINVAL);
        data[i] = '\0';
    }
    for (uint32_t i = 0; i < used; i++) {
        const char byte = data[i];

        data[i] = '\0';
        assert_int_equal(pp_hello_read(&hello, data), -EINVAL);
        data[i] = byte;
    }
    memset(data + used, 'x', PP_HELLO_BYTES - used);
    data[used + 1] = '=';
    data[PP_HELLO_BYTES - 1] = '\n';
    assert_int_equal(pp_hello_read(&hello, data), -EINVAL);
    data[PP_HELLO_BYTES - 2] = '\n';
    data[PP_HELLO_BYTES - 1] = '\0';
    assert_int_equal(pp_hello_read(&hello, data), 0);
}

static void test_nothing_of_a_text_can_harm_a_terminal(void **state)
{
    struct pp_hello_reply reply;

    (void)state;
    assert_int_equal(read_reply(&reply,
                                REPLY "host=a\033[2Jb\r\t\x7f\x9b\xc2\x9b~\nwait=5 \xc2\xb5s "
                                      "\xe2\x80\xae\xb5\xc2\n"),
                     0);
    assert_string_equal(reply.host, "a?[2Jb??????~");
    assert_string_equal(reply.wait, "5 \xc2\xb5s ?????");
}

static void test_a_text_is_cut_to_its_length(void **state)
{
    struct pp_hello_reply reply;

    (void)state;
    assert_int_equal(read_reply(&reply, REPLY "version=0123456789012345678901234567890123456789\n"),
                     0);
    assert_string_equal(reply.version, "0123456789012345678901234567890");
    assert_int_equal(read_reply(&reply, REPLY "version=012345678901234567890123456789\xc2\xb5\n"),
                     0);
    assert_string_equal(reply.version, "012345678901234567890123456789?");
    assert_int_equal(read_reply(&reply, REPLY "version=\n"), 0);
    assert_string_equal(reply.version, "");
}

static void test_a_line_end_in_a_text_begins_no_line(void **state)
{
    struct pp_hello_reply reply = a_reply;
    struct pp_hello_reply read;
    char data[PP_HELLO_BYTES];

    (void)state;
    (void)strncpy(reply.host, "b\nthreads=99", sizeof reply.host - 1);
    pp_hello_reply_write(&reply, data);
    assert_int_equal(pp_hello_reply_read(&read, data), 0);
    assert_string_equal(read.host, "b?threads=99");
    assert_int_equal(read.threads, a_reply.threads);
}

static void check_sizes(const struct pp_sizes *sizes)
{
    assert_in_range(sizes->count, 1, PP_SIZES_RANGES_MAX);
    assert_true(sizes->min >= 1 && sizes->min <= sizes->max && sizes->max <= PP_SIZES_BYTES_MAX);
}

static void check_text(const char *text, size_t bytes)
{
    assert_true(strnlen(text, bytes) < bytes);
    for (; *text; text++)
        assert_true((*text >= ' ' && *text <= '~') || *text == '\xc2' || *text == '\xb5');
}

static bool hello_is_read(const char data[PP_HELLO_BYTES])
{
    struct pp_hello hello;

    if (pp_hello_read(&hello, data) != 0)
        return false;
    if (hello.answers) {
        check_sizes(&hello.request);
        check_sizes(&hello.response);
        assert_true(hello.response_at < PP_PATTERN_RANDOM_PERIOD_MIN);
    }
    return true;
}

static bool reply_is_read(const char data[PP_HELLO_BYTES])
{
    struct pp_hello_reply reply;

    if (pp_hello_reply_read(&reply, data) != 0)
        return false;
    check_text(reply.version, sizeof reply.version);
    check_text(reply.engine, sizeof reply.engine);
    check_text(reply.wait, sizeof reply.wait);
    check_text(reply.host, sizeof reply.host);
    assert_true(reply.threads >= 1);
    return true;
}

/* One to four bytes of the text become others, or it is cut. */
static void mutate(char data[PP_HELLO_BYTES], struct pp_random *random)
{
    const uint32_t used = (uint32_t)strlen(data);
    const uint32_t changes = 1 + pp_random_below(random, 4);

    if (pp_random_below(random, 8) == 0) {
        const uint32_t cut_at = pp_random_below(random, used);

        memset(data + cut_at, 0, used - cut_at);
        return;
    }
    for (uint32_t i = 0; i < changes; i++) {
        const uint32_t bits = 1 + pp_random_below(random, 255);
        const uint32_t at = pp_random_below(random, used);

        data[at] = (char)(pp_random_below(random, 2) ? data[at] ^ (int)bits
                                                     : "0123456789-*,=\n "[bits % 16]);
    }
}

static void test_no_mutation_of_a_hello_is_read_as_what_makes_no_sense(void **state)
{
    struct pp_random random = { .state = 1 };
    int read = 0;

    (void)state;
    for (int round = 0; round < MUTATIONS; round++) {
        char data[PP_HELLO_BYTES];

        frame(data, PP_HELLO_MAGIC, ANSWERS);
        mutate(data, &random);
        read += hello_is_read(data);
    }
    assert_in_range(read, MUTATIONS / 100, MUTATIONS / 2);
}

static void test_no_mutation_of_a_reply_is_read_as_what_makes_no_sense(void **state)
{
    struct pp_random random = { .state = 2 };
    int read = 0;

    (void)state;
    for (int round = 0; round < MUTATIONS; round++) {
        char data[PP_HELLO_BYTES];

        frame(data, REPLY_MAGIC, REPLY);
        mutate(data, &random);
        read += reply_is_read(data);
    }
    assert_in_range(read, MUTATIONS / 100, MUTATIONS / 2);
}

static void test_a_text_that_is_cut_anywhere_is_refused(void **state)
{
    const uint32_t used = sizeof PP_HELLO_MAGIC ANSWERS - 1;
    char data[PP_HELLO_BYTES];

    (void)state;
    frame(data, PP_HELLO_MAGIC, ANSWERS);
    for (uint32_t i = used; i-- > 0;) {
        data[i] = '\0';
        assert_false(hello_is_read(data));
    }
}

static void test_random_bytes_are_never_read(void **state)
{
    struct pp_random random = { .state = 3 };

    (void)state;
    for (int round = 0; round < 5000; round++) {
        char data[PP_HELLO_BYTES] = PP_HELLO_MAGIC;
        const uint32_t from = pp_random_below(&random, 2) * (sizeof PP_HELLO_MAGIC - 1);

        for (uint32_t i = from; i < sizeof data; i++)
            data[i] = (char)(pp_random_next(&random) >> 56);
        assert_false(hello_is_read(data));
        assert_false(reply_is_read(data));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hello_without_answers_is_read_back),
        cmocka_unit_test(test_a_hello_with_answers_is_read_back),
        cmocka_unit_test(test_a_reply_is_read_back),
        cmocka_unit_test(test_a_reply_without_what_not_all_servers_say_is_read),
        cmocka_unit_test(test_all_that_is_not_text_is_zero),
        cmocka_unit_test(test_sizes_of_too_many_ranges_are_refused_when_written),
        cmocka_unit_test(test_the_longest_reply_fits),
        cmocka_unit_test(test_a_connection_that_begins_otherwise_is_no_hello),
        cmocka_unit_test(test_a_hello_is_no_reply_and_a_reply_no_hello),
        cmocka_unit_test(test_each_name_is_needed),
        cmocka_unit_test(test_unknown_names_are_skipped),
        cmocka_unit_test(test_of_two_lines_with_one_name_the_last_stands),
        cmocka_unit_test(test_numbers_that_are_none_or_out_of_range_are_refused),
        cmocka_unit_test(test_what_a_server_has_cost_is_within_what_its_threads_can_do),
        cmocka_unit_test(test_sizes_of_0_or_over_the_maximum_are_refused),
        cmocka_unit_test(test_lines_without_an_end_a_name_or_an_equals_sign_are_refused),
        cmocka_unit_test(test_zeros_are_at_the_end_alone_and_at_least_one),
        cmocka_unit_test(test_nothing_of_a_text_can_harm_a_terminal),
        cmocka_unit_test(test_a_text_is_cut_to_its_length),
        cmocka_unit_test(test_a_line_end_in_a_text_begins_no_line),
        cmocka_unit_test(test_no_mutation_of_a_hello_is_read_as_what_makes_no_sense),
        cmocka_unit_test(test_no_mutation_of_a_reply_is_read_as_what_makes_no_sense),
        cmocka_unit_test(test_a_text_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(test_random_bytes_are_never_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
