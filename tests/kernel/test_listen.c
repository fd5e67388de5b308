/* Listening: on ports that others want too, on all addresses, and on Unix sockets. */
#include "io/kernel/kernel.h"
#include "io/support.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct pp_io_socket_options stream;
static const struct pp_io_socket_options datagrams = { .dgram = true };

/* ---- files ------------------------------------------------------------------------------- */

static char directory[] = "/tmp/pp_test_listen_XXXXXX";

static struct pp_io_addr unix_at(const char *name)
{
    struct pp_io_addr addr;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    assert_int_equal(pp_io_addr_unix(&addr, path), 0);
    return addr;
}

static bool exists(const struct pp_io_addr *addr)
{
    struct stat st;

    return lstat(addr->un.sun_path, &st) == 0;
}

static void empty_directory(void)
{
    DIR *dir = opendir(directory);
    const struct dirent *entry;

    if (!dir)
        return;
    while ((entry = readdir(dir)))
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
}

/* Each test begins and ends with an empty directory, even one that has failed. */
static int setup(void **state)
{
    empty_directory();
    return test_setup(state);
}

/* ---- helpers ----------------------------------------------------------------------------- */

static void listen_group(struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                         unsigned count, int *fds)
{
    struct pp_error err = { 0 };

    if (pp_io_kernel.listen(addr, options, NULL, count, fds, &err) < 0)
        fail_msg("%s", err.text);
}

static int listen_on(struct pp_io_addr *addr, const struct pp_io_socket_options *options)
{
    int fd;

    listen_group(addr, options, 1, &fd);
    return fd;
}

/* Refused with the code, in a line that has the words; nothing is left open or changed. */
static void check_refused(const struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                          unsigned count, int code, const char *words)
{
    struct pp_io_addr wanted = *addr;
    struct pp_error err = { 0 };
    int fds[4];
    const int before = test_fd_count();

    assert_true(count <= COUNT_OF(fds));
    assert_int_equal(pp_io_kernel.listen(&wanted, options, NULL, count, fds, &err), code);
    assert_int_equal(err.code, code);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    assert_int_equal(test_fd_count(), before);
    assert_memory_equal(&wanted, addr, sizeof(wanted));
}

static void make_blocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
}

static int client_of(const struct pp_io_addr *addr, const struct pp_io_socket_options *options)
{
    struct pp_error err = { 0 };
    const int fd = pp_io_kernel.socket(addr, options, NULL, &err);

    if (fd < 0)
        fail_msg("%s", err.text);
    make_blocking(fd);
    assert_int_equal(connect(fd, &addr->any, addr->len), 0);
    return fd;
}

/* A connection comes in at listen_fd and works. */
static void check_serves(int listen_fd, const struct pp_io_addr *addr)
{
    const int client = client_of(addr, &stream);
    int served;

    make_blocking(listen_fd);
    served = accept(listen_fd, NULL, NULL);
    assert_true(served >= 0);
    test_write(served, "served", 6);
    test_read_text(client, "served");
    assert_int_equal(close(served), 0);
    test_reset(client);
}

static void check_serves_datagrams(int fd, const struct pp_io_addr *addr)
{
    const int client = client_of(addr, &datagrams);
    struct pp_io_addr from = { .len = sizeof(from.un) };
    char got[16] = "";

    make_blocking(fd);
    test_write(client, "ping", 4);
    assert_int_equal(recvfrom(fd, got, sizeof(got), 0, &from.any, &from.len), 4);
    assert_int_equal(sendto(fd, got, 4, 0, &from.any, from.len), 4);
    test_read_text(client, "ping");
    assert_int_equal(close(client), 0);
}

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, SOL_SOCKET, option, &value, &len), 0);
    return value;
}

/* ---- ports ------------------------------------------------------------------------------- */

static void a_datagram_socket_is_bound_and_not_listening(void **state)
{
    struct pp_io_addr addr = test_loopback(AF_INET);
    const int fd = listen_on(&addr, &datagrams);

    (void)state;
    assert_int_not_equal(addr.in.sin_port, 0);
    assert_int_equal(option_of(fd, SO_TYPE), SOCK_DGRAM);
    assert_int_equal(option_of(fd, SO_ACCEPTCONN), 0);
    check_serves_datagrams(fd, &addr);
}

static void one_socket_does_not_share_its_port(void **state)
{
    (void)state;
    for (int dgram = 0; dgram < 2; dgram++) {
        struct pp_io_addr addr = test_loopback(AF_INET);

        assert_int_equal(option_of(listen_on(&addr, dgram ? &datagrams : &stream), SO_REUSEPORT),
                         0);
    }
}

static void a_group_shares_the_port_that_its_first_was_given(void **state)
{
    (void)state;
    for (int dgram = 0; dgram < 2; dgram++) {
        struct pp_io_addr addr = test_loopback(AF_INET);
        struct pp_io_addr bound;
        int fds[4];

        listen_group(&addr, dgram ? &datagrams : &stream, 4, fds);
        assert_int_not_equal(addr.in.sin_port, 0);
        for (size_t i = 0; i < COUNT_OF(fds); i++) {
            bound.len = sizeof(bound.un);
            assert_int_equal(getsockname(fds[i], &bound.any, &bound.len), 0);
            assert_int_equal(bound.in.sin_port, addr.in.sin_port);
            assert_true(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
            assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        }
    }
}

/* Of the same user, who could share it: whoever is second is told. */
static void check_port_is_taken(int family, const struct pp_io_socket_options *options,
                                unsigned first, unsigned second)
{
    struct pp_io_addr addr = test_loopback(family);
    char port[16];
    int fds[4];

    listen_group(&addr, options, first, fds);
    (void)snprintf(port, sizeof(port), ":%d:", ntohs(addr.in.sin_port));
    check_refused(&addr, options, second, -EADDRINUSE, port);
    check_refused(&addr, options, second, -EADDRINUSE, "or port 0 for any free one");
}

static void check_port_is_taken_by_any(const struct pp_io_socket_options *options)
{
    check_port_is_taken(AF_INET, options, 1, 1);
    check_port_is_taken(AF_INET, options, 1, 3);
    check_port_is_taken(AF_INET, options, 3, 1);
    check_port_is_taken(AF_INET, options, 3, 3);
}

static void a_port_in_use_is_refused_to_one_and_to_a_group(void **state)
{
    (void)state;
    check_port_is_taken_by_any(&stream);
}

static void a_port_in_use_for_datagrams_is_refused_to_one_and_to_a_group(void **state)
{
    (void)state;
    check_port_is_taken_by_any(&datagrams);
}

static void a_port_in_use_over_ipv6_is_refused_to_a_group(void **state)
{
    (void)state;
    test_needs_ipv6();
    check_port_is_taken(AF_INET6, &stream, 3, 3);
    check_port_is_taken(AF_INET6, &datagrams, 3, 3);
}

/* They can be bound; an answer to what comes there would come from each that heard it. */
/* In a message that nobody has received, a socket is open, and of no process. */
static int put_away(int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof fd)];
        struct cmsghdr align;
    } control = { .bytes = { 0 } };
    char byte = 0;
    struct iovec part = { .iov_base = &byte, .iov_len = 1 };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof control.bytes };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    *header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd),
                                .cmsg_level = SOL_SOCKET,
                                .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    assert_int_equal(sendmsg(ends[0], &message, 0), 1);
    (void)close(ends[0]);
    (void)close(fd);
    return ends[1];
}

static void who_has_a_port_is_found_out(const struct pp_io_socket_options *options)
{
    struct pp_io_addr addr = test_loopback(AF_INET);
    int fd, away;
    unsigned port;

    listen_group(&addr, options, 1, &fd);
    port = ntohs(addr.in.sin_port);
    assert_int_equal(pp_kernel_owner_of(port, options->dgram), PP_KERNEL_OWNER_LIVES);
    away = put_away(fd);
    assert_int_not_equal(pp_kernel_owner_of(port, options->dgram), PP_KERNEL_OWNER_LIVES);
    if (geteuid() == 0) /* who may look at all processes */
        assert_int_equal(pp_kernel_owner_of(port, options->dgram), PP_KERNEL_OWNER_GONE);
    (void)close(away);
    assert_int_equal(pp_kernel_owner_of(port, options->dgram), PP_KERNEL_OWNER_UNKNOWN);
}

static void who_has_a_port_is_known(void **state)
{
    (void)state;
    who_has_a_port_is_found_out(&stream);
    who_has_a_port_is_found_out(&datagrams);
}

static void an_address_of_many_is_refused_for_datagrams(void **state)
{
    static const char *const texts[] = { "127.255.255.255", "255.255.255.255", "239.1.2.3" };
    struct pp_io_addr addr = test_loopback(AF_INET);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(inet_pton(AF_INET, texts[i], &addr.in.sin_addr), 1);
        check_refused(&addr, &datagrams, 1, -EADDRNOTAVAIL, "the address of many hosts");
        check_refused(&addr, &datagrams, 3, -EADDRNOTAVAIL, "the address of many hosts");
    }
}

static void an_ipv6_address_of_many_is_refused_for_datagrams(void **state)
{
    struct pp_io_addr addr = test_loopback(AF_INET6);

    (void)state;
    test_needs_ipv6();
    assert_int_equal(inet_pton(AF_INET6, "ff05::1234", &addr.in6.sin6_addr), 1);
    check_refused(&addr, &datagrams, 1, -EADDRNOTAVAIL, "the address of many hosts");
    assert_int_equal(inet_pton(AF_INET6, "::ffff:127.255.255.255", &addr.in6.sin6_addr), 1);
    check_refused(&addr, &datagrams, 1, -EADDRNOTAVAIL, "the address of many hosts");
}

/* The server ends its connections first, so that they linger in TIME_WAIT on its port. */
static void a_group_can_listen_again_at_once(void **state)
{
    struct pp_io_addr addr = test_loopback(AF_INET);
    int fds[2];

    (void)state;
    listen_group(&addr, &stream, 2, fds);
    for (int i = 0; i < 8; i++) {
        const int client = test_connect(&addr);
        int served = accept(fds[0], NULL, NULL);

        if (served < 0)
            served = accept(fds[1], NULL, NULL);
        assert_true(served >= 0);
        assert_int_equal(close(served), 0);
        test_read_eof(client);
        assert_int_equal(close(client), 0);
    }
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
    listen_group(&addr, &stream, 2, fds);
}

static void all_addresses_of_ipv6_are_those_of_ipv4_too(void **state)
{
    struct pp_io_addr any = { .len = sizeof(any.in6), .in6.sin6_family = AF_INET6 };
    struct pp_io_addr v4 = test_loopback(AF_INET);
    struct pp_io_addr v6 = test_loopback(AF_INET6);
    const int fd = (test_needs_ipv6(), listen_on(&any, &stream));

    (void)state;
    v4.in.sin_port = any.in6.sin6_port;
    v6.in6.sin6_port = any.in6.sin6_port;
    check_serves(fd, &v4);
    check_serves(fd, &v6);
}

static void datagrams_to_all_addresses_of_ipv6_come_over_ipv4_too(void **state)
{
    struct pp_io_addr any = { .len = sizeof(any.in6), .in6.sin6_family = AF_INET6 };
    struct pp_io_addr v4 = test_loopback(AF_INET);
    struct pp_io_addr v6 = test_loopback(AF_INET6);
    const int fd = (test_needs_ipv6(), listen_on(&any, &datagrams));

    (void)state;
    v4.in.sin_port = any.in6.sin6_port;
    v6.in6.sin6_port = any.in6.sin6_port;
    check_serves_datagrams(fd, &v4);
    check_serves_datagrams(fd, &v6);
}

/* RFC 5737: nobody has 198.51.100.1. */
static void a_foreign_address_is_refused_to_a_group(void **state)
{
    struct pp_io_addr addr = test_loopback(AF_INET);

    (void)state;
    addr.in.sin_addr.s_addr = htonl(0xC6336401);
    check_refused(&addr, &stream, 2, -EADDRNOTAVAIL, "198.51.100.1:0: ");
    check_refused(&addr, &datagrams, 2, -EADDRNOTAVAIL, "this machine has no such address");
}

/* ---- Unix sockets ------------------------------------------------------------------------ */

static void a_unix_socket_serves(void **state)
{
    struct pp_io_addr addr = unix_at("socket");

    (void)state;
    check_serves(listen_on(&addr, &stream), &addr);
}

static void a_unix_datagram_client_has_a_name_and_is_answered(void **state)
{
    struct pp_io_addr addr = unix_at("socket");
    const int fd = listen_on(&addr, &datagrams);
    struct pp_io_addr name = { .len = sizeof(name.un) };
    char text[PP_IO_ADDR_TEXT_BYTES];

    (void)state;
    check_serves_datagrams(fd, &addr);
    assert_int_equal(getsockname(client_of(&addr, &datagrams), &name.any, &name.len), 0);
    assert_memory_equal(pp_io_addr_format(&name, text), "unix:@", 6);
}

static void the_sockets_of_a_unix_group_are_one(void **state)
{
    struct pp_io_addr addr = unix_at("socket");
    int fds[3];

    (void)state;
    listen_group(&addr, &stream, 3, fds);
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        check_serves(fds[i], &addr);
    }
}

static void check_stale_file_is_replaced(const char *name,
                                         const struct pp_io_socket_options *before,
                                         const struct pp_io_socket_options *after)
{
    struct pp_io_addr addr = unix_at(name);

    assert_int_equal(close(listen_on(&addr, before)), 0);
    assert_true(exists(&addr));
    if (after->dgram)
        check_serves_datagrams(listen_on(&addr, after), &addr);
    else
        check_serves(listen_on(&addr, after), &addr);
}

static void the_file_of_a_server_that_is_gone_is_replaced(void **state)
{
    (void)state;
    check_stale_file_is_replaced("a", &stream, &stream);
    check_stale_file_is_replaced("b", &datagrams, &datagrams);
    check_stale_file_is_replaced("c", &stream, &datagrams);
    check_stale_file_is_replaced("d", &datagrams, &stream);
}

static void the_file_of_a_server_that_listens_is_refused(void **state)
{
    struct pp_io_addr addr = unix_at("socket");
    const int fd = listen_on(&addr, &stream);
    int asked;

    (void)state;
    check_refused(&addr, &stream, 1, -EADDRINUSE, addr.un.sun_path);
    check_refused(&addr, &datagrams, 1, -EADDRINUSE, "another program listens there");
    asked = accept(fd, NULL, NULL); /* the question whether anybody listens, already over */
    assert_true(asked >= 0);
    test_read_eof(asked);
    check_serves(fd, &addr);
}

static void the_file_of_a_datagram_server_is_refused(void **state)
{
    struct pp_io_addr addr = unix_at("socket");
    const int fd = listen_on(&addr, &datagrams);

    (void)state;
    check_refused(&addr, &datagrams, 1, -EADDRINUSE, "another program listens there");
    check_refused(&addr, &stream, 2, -EADDRINUSE, "another program listens there");
    check_serves_datagrams(fd, &addr);
}

static void a_file_that_is_no_socket_is_refused_and_left_alone(void **state)
{
    const struct pp_io_addr addr = unix_at("diary");
    const int fd = open(addr.un.sun_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct stat st;

    (void)state;
    assert_int_equal(write(fd, "dear", 4), 4);
    check_refused(&addr, &stream, 1, -EEXIST, "it is not a socket");
    check_refused(&addr, &datagrams, 2, -EEXIST, addr.un.sun_path);
    assert_int_equal(stat(addr.un.sun_path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(st.st_size, 4);
}

/* Its target may be a stale socket: it is still somebody's link. */
static void a_symbolic_link_is_refused_and_left_alone(void **state)
{
    struct pp_io_addr target = unix_at("socket");
    const struct pp_io_addr addr = unix_at("link");

    (void)state;
    assert_int_equal(close(listen_on(&target, &stream)), 0);
    assert_int_equal(symlink(target.un.sun_path, addr.un.sun_path), 0);
    check_refused(&addr, &stream, 1, -EEXIST, "it is not a socket");
    assert_true(exists(&addr));
    assert_true(exists(&target));
}

static void a_directory_that_is_not_there_is_refused(void **state)
{
    const struct pp_io_addr addr = unix_at("nowhere/socket");

    (void)state;
    check_refused(&addr, &stream, 1, -ENOENT, "make its directory first");
}

static void a_name_in_use_that_is_no_file_is_refused(void **state)
{
    struct pp_io_addr addr = { .un.sun_family = AF_UNIX };
    const int length = snprintf(addr.un.sun_path, sizeof(addr.un.sun_path), "@pp_test_%d",
                                (int)getpid());

    (void)state;
    addr.un.sun_path[0] = '\0';
    addr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length);
    (void)listen_on(&addr, &stream);
    check_refused(&addr, &stream, 1, -EADDRINUSE, "unix:@pp_test_");
}

static void the_file_goes_when_the_server_ends(void **state)
{
    struct pp_io_addr addr = unix_at("socket");
    const int fd = listen_on(&addr, &stream);

    (void)state;
    pp_io_kernel.unlisten(&addr);
    assert_false(exists(&addr));
    assert_int_equal(close(fd), 0);
    pp_io_kernel.unlisten(&addr); /* nothing to do, and no harm */
}

/* The first one's file is still there under another name, so that the second has another inode. */
static void ending_leaves_alone_the_socket_of_another_server(void **state)
{
    struct pp_io_addr addr = unix_at("socket");
    const struct pp_io_addr away = unix_at("away");
    const int ours = listen_on(&addr, &stream);
    const int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_true(ours >= 0);
    assert_int_equal(rename(addr.un.sun_path, away.un.sun_path), 0);
    assert_int_equal(bind(other, &addr.any, addr.len), 0);
    assert_int_equal(listen(other, 1), 0);
    pp_io_kernel.unlisten(&addr);
    assert_true(exists(&addr));
    check_serves(other, &addr);
}

static void a_directory_is_refused_in_words(void **state)
{
    const struct pp_io_addr addr = unix_at(".");

    (void)state;
    check_refused(&addr, &stream, 1, -EISDIR, "name a socket in it");
    check_refused(&addr, &datagrams, 1, -EISDIR, "name a socket in it");
}

static void ending_leaves_alone_what_is_no_socket(void **state)
{
    const struct pp_io_addr addr = unix_at("diary");
    const struct pp_io_addr inet = test_loopback(AF_INET);

    (void)state;
    assert_true(open(addr.un.sun_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) >= 0);
    pp_io_kernel.unlisten(&addr);
    pp_io_kernel.unlisten(&inet);
    assert_true(exists(&addr));
}

/* ---- running out ------------------------------------------------------------------------- */

/* Leaves room for this many more descriptors. */
static void limit_fds(int spare, struct rlimit *saved)
{
    const int lowest = fcntl(0, F_DUPFD_CLOEXEC, 0);
    struct rlimit limit;

    assert_true(lowest >= 0);
    assert_int_equal(close(lowest), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, saved), 0);
    limit = *saved;
    limit.rlim_cur = (rlim_t)(lowest + spare);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void check_runs_out(struct pp_io_addr addr, const struct pp_io_socket_options *options)
{
    const int before = test_fd_count();

    for (int spare = 0; spare < 4; spare++) {
        struct pp_error err = { 0 };
        struct rlimit saved;
        int fds[4];
        int ret;

        limit_fds(spare, &saved);
        ret = pp_io_kernel.listen(&addr, options, NULL, 4, fds, &err);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);
        assert_int_equal(ret, -EMFILE);
        assert_int_equal(err.code, -EMFILE);
        assert_int_equal(test_fd_count(), before);
    }
}

static void a_group_that_runs_out_of_descriptors_leaves_none_open(void **state)
{
    const struct pp_io_addr addr = unix_at("socket");

    (void)state;
    check_runs_out(test_loopback(AF_INET), &stream);
    check_runs_out(test_loopback(AF_INET), &datagrams);
    check_runs_out(addr, &stream);
    assert_false(exists(&addr));
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, test_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_datagram_socket_is_bound_and_not_listening),
        TEST(one_socket_does_not_share_its_port),
        TEST(a_group_shares_the_port_that_its_first_was_given),
        TEST(a_port_in_use_is_refused_to_one_and_to_a_group),
        TEST(a_port_in_use_for_datagrams_is_refused_to_one_and_to_a_group),
        TEST(a_port_in_use_over_ipv6_is_refused_to_a_group),
        TEST(who_has_a_port_is_known),
        TEST(an_address_of_many_is_refused_for_datagrams),
        TEST(an_ipv6_address_of_many_is_refused_for_datagrams),
        TEST(a_group_can_listen_again_at_once),
        TEST(all_addresses_of_ipv6_are_those_of_ipv4_too),
        TEST(datagrams_to_all_addresses_of_ipv6_come_over_ipv4_too),
        TEST(a_foreign_address_is_refused_to_a_group),
        FILE_TEST(a_unix_socket_serves),
        FILE_TEST(a_unix_datagram_client_has_a_name_and_is_answered),
        FILE_TEST(the_sockets_of_a_unix_group_are_one),
        FILE_TEST(the_file_of_a_server_that_is_gone_is_replaced),
        FILE_TEST(the_file_of_a_server_that_listens_is_refused),
        FILE_TEST(the_file_of_a_datagram_server_is_refused),
        FILE_TEST(a_file_that_is_no_socket_is_refused_and_left_alone),
        FILE_TEST(a_symbolic_link_is_refused_and_left_alone),
        FILE_TEST(a_directory_that_is_not_there_is_refused),
        FILE_TEST(a_name_in_use_that_is_no_file_is_refused),
        FILE_TEST(the_file_goes_when_the_server_ends),
        FILE_TEST(ending_leaves_alone_what_is_no_socket),
        FILE_TEST(ending_leaves_alone_the_socket_of_another_server),
        FILE_TEST(a_directory_is_refused_in_words),
        FILE_TEST(a_group_that_runs_out_of_descriptors_leaves_none_open),
    };
    int failed;

    test_start(argc, argv);
    if (!mkdtemp(directory)) {
        (void)fprintf(stderr, "%s cannot be made: %s\n", directory, strerror(errno));
        return EXIT_FAILURE;
    }
    failed = TEST_RUN(tests);
    empty_directory();
    (void)rmdir(directory);
    return failed;
}
