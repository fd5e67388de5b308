/* Names and addresses as text, looked up for one family or any. The rest is in test_workers.c. */
#include "support.h"

#include <net/if.h>

struct lookup {
    struct pp_io_resolve resolve;
    int calls;
    int32_t res;
};

static enum pp_io_next on_lookup(struct pp_io_op *op)
{
    struct pp_io_job *job = container_of(op, struct pp_io_job, op);
    struct lookup *lookup = container_of(container_of(job, struct pp_io_resolve, job),
                                         struct lookup, resolve);

    lookup->calls++;
    lookup->res = op->res;
    return PP_IO_DISARM;
}

static const struct lookup *look_up(struct fixture *f, const char *host, int family)
{
    struct pp_io_loop *loop = test_loop(f);
    struct lookup *lookup = test_new(f, sizeof(*lookup));

    lookup->resolve.family = family;
    pp_io_resolve_start(test_workers(f, 1), loop, &lookup->resolve, host, 3131, on_lookup);
    test_run(loop);
    test_workers_close(f);
    assert_int_equal(lookup->calls, 1);
    return lookup;
}

static void check_found(struct fixture *f, const char *host, int family, const char *wanted)
{
    const struct lookup *lookup = look_up(f, host, family);
    char text[PP_IO_ADDR_TEXT_BYTES];

    if (lookup->res < 0)
        fail_msg("%s: %s", host, lookup->resolve.why);
    assert_string_equal(pp_io_addr_format(&lookup->resolve.addr, text), wanted);
}

static void check_refused(struct fixture *f, const char *host, int family, const char *why)
{
    const struct lookup *lookup = look_up(f, host, family);

    assert_true(lookup->res < 0);
    assert_string_equal(lookup->resolve.why, why);
}

static void an_address_is_found_for_its_family_and_for_any(void **state)
{
    check_found(*state, "192.0.2.7", AF_UNSPEC, "192.0.2.7:3131");
    check_found(*state, "192.0.2.7", AF_INET, "192.0.2.7:3131");
    check_found(*state, "2001:db8::7", AF_UNSPEC, "[2001:db8::7]:3131");
    check_found(*state, "2001:db8::7", AF_INET6, "[2001:db8::7]:3131");
}

static void a_name_is_looked_up_for_the_family_that_is_asked_for(void **state)
{
    const struct lookup *lookup = look_up(*state, "localhost", AF_INET);

    assert_int_equal(lookup->res, 0);
    assert_int_equal(lookup->resolve.addr.any.sa_family, AF_INET);
    assert_int_equal(lookup->resolve.addr.len, sizeof(struct sockaddr_in));
}

static void an_address_of_the_other_family_is_refused_in_words(void **state)
{
    check_refused(*state, "192.0.2.7", AF_INET6, "it has no IPv6 address");
    check_refused(*state, "2001:db8::7", AF_INET, "it has no IPv4 address");
}

/* RFC 6761: .invalid never exists. Its want of an address is not the family's fault. */
static void a_name_that_nobody_has_lacks_more_than_a_family(void **state)
{
    const struct lookup *lookup = look_up(*state, "no-such-host.invalid", AF_INET6);

    assert_true(lookup->res < 0);
    assert_string_not_equal(lookup->resolve.why, "it has no IPv6 address");
    assert_true(strlen(lookup->resolve.why) > 0);
}

static void a_scope_is_part_of_an_address(void **state)
{
    const struct lookup *lookup = look_up(*state, "fe80::1%lo", AF_INET6);
    char text[PP_IO_ADDR_TEXT_BYTES];

    if (if_nametoindex("lo") == 0)
        skip();
    assert_int_equal(lookup->res, 0);
    assert_int_equal(lookup->resolve.addr.in6.sin6_scope_id, if_nametoindex("lo"));
    assert_string_equal(pp_io_addr_format(&lookup->resolve.addr, text), "[fe80::1%lo]:3131");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_address_is_found_for_its_family_and_for_any),
        TEST(a_name_is_looked_up_for_the_family_that_is_asked_for),
        TEST(an_address_of_the_other_family_is_refused_in_words),
        TEST(a_name_that_nobody_has_lacks_more_than_a_family),
        TEST(a_scope_is_part_of_an_address),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
