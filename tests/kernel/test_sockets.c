/* Sockets and addresses, with the loop that serves them. */
#include "io/support.h"
#include "listening.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pp_io_addr loopback(uint16_t port)
{
    return (struct pp_io_addr){ .len = sizeof(struct sockaddr_in),
                                .in = { .sin_family = AF_INET,
                                        .sin_port = htons(port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
}

static struct pp_io_addr loopback6(uint16_t port)
{
    return (struct pp_io_addr){ .len = sizeof(struct sockaddr_in6),
                                .in6 = { .sin6_family = AF_INET6,
                                         .sin6_port = htons(port),
                                         .sin6_addr = IN6ADDR_LOOPBACK_INIT } };
}

static void an_address_is_written_as_people_read_it(void **state)
{
    char text[PP_IO_ADDR_TEXT_BYTES];
    struct pp_io_addr widest = loopback6(65535);
    const struct pp_io_addr v4 = loopback(3131);
    const struct pp_io_addr v6 = loopback6(3131);

    (void)state;
    assert_ptr_equal(pp_io_addr_format(&v4, text), text);
    assert_string_equal(text, "127.0.0.1:3131");
    assert_string_equal(pp_io_addr_format(&v6, text), "[::1]:3131");
    memset(&widest.in6.sin6_addr, 0xFE, sizeof(widest.in6.sin6_addr));
    assert_string_equal(pp_io_addr_format(&widest, text),
                        "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe]:65535");
}

static void a_link_local_address_is_written_with_its_scope(void **state)
{
    struct pp_io_addr addr = loopback6(3131);
    char text[PP_IO_ADDR_TEXT_BYTES];

    (void)state;
    if (if_nametoindex("lo") == 0)
        skip();
    addr.in6.sin6_addr = (struct in6_addr){ .s6_addr = { 0xFE, 0x80, [15] = 1 } };
    addr.in6.sin6_scope_id = if_nametoindex("lo");
    assert_string_equal(pp_io_addr_format(&addr, text), "[fe80::1%lo]:3131");
    addr.in6.sin6_scope_id = 4000000000; /* an interface that is gone */
    assert_string_equal(pp_io_addr_format(&addr, text), "[fe80::1%4000000000]:3131");
}

static void a_unix_address_is_written_as_its_path(void **state)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct pp_io_addr addr;
    char text[PP_IO_ADDR_TEXT_BYTES];

    (void)state;
    assert_int_equal(pp_io_addr_unix(&addr, "/run/pp"), 0);
    assert_string_equal(pp_io_addr_format(&addr, text), "unix:/run/pp");
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(pp_io_addr_unix(&addr, path), 0); /* the longest */
    assert_memory_equal(pp_io_addr_format(&addr, text), "unix:xxx", 8);
    assert_string_equal(text + 5, path);
}

static void a_unix_address_without_a_path_is_written_in_words(void **state)
{
    const socklen_t header = offsetof(struct sockaddr_un, sun_path);
    struct pp_io_addr addr = { .len = header, .un.sun_family = AF_UNIX };
    const struct pp_io_addr nothing = { 0 }; /* what the kernel says of a sender without a name */
    char text[PP_IO_ADDR_TEXT_BYTES];

    (void)state;
    assert_string_equal(pp_io_addr_format(&addr, text), "unix:(unnamed)");
    assert_string_equal(pp_io_addr_format(&nothing, text), "unix:(unnamed)");
    memcpy(addr.un.sun_path, "\0abcdef", 7);
    addr.len = header + 4;
    assert_string_equal(pp_io_addr_format(&addr, text), "unix:@abc");
}

static void a_path_that_is_no_unix_address_is_refused(void **state)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    struct pp_io_addr addr;

    (void)state;
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(pp_io_addr_unix(&addr, path), -ENAMETOOLONG);
    assert_int_equal(pp_io_addr_unix(&addr, ""), -EINVAL);
}

static int listen_on(struct pp_io_addr *addr)
{
    struct pp_error err = { 0 };
    const int fd = listen_one(addr, NULL, &err);

    if (fd < 0)
        fail_msg("%s", err.text);
    return fd;
}

static int socket_for(const struct pp_io_addr *addr)
{
    struct pp_error err = { 0 };
    const int fd = pp_io_kernel.socket(addr, NULL, NULL, &err);

    if (fd < 0)
        fail_msg("%s", err.text);
    return fd;
}

/* Accepts and connects on the loop, and says "ping". */
static void check_listen_and_connect(struct fixture *f, struct pp_io_addr addr)
{
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *accepted = test_probe(f);
    struct test_probe *connected = test_probe(f);
    const int listen_fd = listen_on(&addr);
    const int fd = socket_for(&addr);

    assert_int_not_equal(addr.in.sin_port, 0); /* the same place for both families */
    pp_io_accept(loop, &accepted->op, listen_fd, test_probe_once);
    pp_io_connect(loop, &connected->op, fd, &addr.any, addr.len, test_probe_once);
    test_run(loop);
    assert_int_equal(connected->res, 0);
    assert_true(accepted->res >= 0);
    test_write(fd, "ping", 4);
    test_read_text(accepted->res, "ping");
}

static void port_0_is_filled_in_and_can_be_connected_to(void **state)
{
    check_listen_and_connect(*state, loopback(0));
}

static void port_0_is_filled_in_and_can_be_connected_to_over_ipv6(void **state)
{
    test_needs_ipv6();
    check_listen_and_connect(*state, loopback6(0));
}

static int option_of(int fd, int level, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void assert_flags(int fd)
{
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(option_of(fd, IPPROTO_TCP, TCP_NODELAY));
}

static void both_ends_of_a_connection_are_nonblocking_and_without_nagle_delay(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *accepted = test_probe(f);
    struct pp_io_addr addr = loopback(0);
    const int listen_fd = listen_on(&addr);
    const int fd = socket_for(&addr);

    assert_true(connect(fd, &addr.any, addr.len) == 0 || errno == EINPROGRESS);
    pp_io_accept(loop, &accepted->op, listen_fd, test_probe_once);
    test_run(loop);
    assert_flags(fd);
    assert_flags(accepted->res);
    assert_true(fcntl(listen_fd, F_GETFD) & FD_CLOEXEC);
}

static void a_port_in_use_is_refused_by_its_number(void **state)
{
    struct pp_io_addr addr = loopback(0);
    struct pp_error err = { 0 };
    char port[16];

    (void)state;
    (void)listen_on(&addr);
    assert_int_equal(listen_one(&addr, NULL, &err), -EADDRINUSE);
    assert_int_equal(err.code, -EADDRINUSE);
    (void)snprintf(port, sizeof(port), "%d", ntohs(addr.in.sin_port));
    assert_non_null(strstr(err.text, port));
}

/* RFC 5737: nobody has 192.0.2.1. */
static void a_foreign_address_is_refused_by_its_name(void **state)
{
    struct pp_io_addr addr = loopback(0);
    struct pp_error err = { 0 };
    const int before = test_fd_count();

    (void)state;
    addr.in.sin_addr.s_addr = htonl(0xC0000201);
    assert_int_equal(listen_one(&addr, NULL, &err), -EADDRNOTAVAIL);
    assert_non_null(strstr(err.text, "192.0.2.1"));
    assert_int_equal(test_fd_count(), before);
}

static void errors_are_fine_without_anywhere_to_put_the_text(void **state)
{
    struct pp_io_addr addr = loopback(0);

    (void)state;
    (void)listen_on(&addr);
    assert_int_equal(listen_one(&addr, NULL, NULL), -EADDRINUSE);
}

/* The server ends its connections first, so that they linger in TIME_WAIT on its port. */
static void a_port_can_be_listened_on_again_at_once(void **state)
{
    struct pp_io_addr addr = loopback(0);
    int listen_fd = listen_on(&addr);
    const int client = test_connect(&addr);
    const int served = accept(listen_fd, NULL, NULL);

    (void)state;
    assert_true(served >= 0);
    assert_int_equal(close(served), 0);
    test_read_eof(client);
    assert_int_equal(close(client), 0);
    assert_int_equal(close(listen_fd), 0);
    listen_fd = listen_on(&addr);
    assert_true(listen_fd >= 0);
}

/* ---- options ----------------------------------------------------------------------------- */

static int socket_with(const struct pp_io_addr *addr, const struct pp_io_socket_options *options)
{
    struct pp_error err = { 0 };
    const int fd = pp_io_kernel.socket(addr, options, NULL, &err);

    if (fd < 0)
        fail_msg("%s", err.text);
    return fd;
}

/* A connection whose sides both have the options. near is the one that connected. */
static struct test_pair pair_with(struct pp_io_addr addr,
                                  const struct pp_io_socket_options *options)
{
    struct pp_error err = { 0 };
    const int listen_fd = listen_one(&addr, options, &err);
    const struct test_pair pair = { .near = socket_with(&addr, options), .far = -1 };

    if (listen_fd < 0)
        fail_msg("%s", err.text);
    assert_int_equal(fcntl(pair.near, F_SETFL, 0), 0);
    assert_int_equal(fcntl(listen_fd, F_SETFL, 0), 0);
    assert_int_equal(connect(pair.near, &addr.any, addr.len), 0);
    return (struct test_pair){ .near = pair.near, .far = accept(listen_fd, NULL, NULL) };
}

static void check_both(const struct test_pair *pair, int level, int option, int wanted)
{
    assert_int_equal(option_of(pair->near, level, option), wanted);
    assert_int_equal(option_of(pair->far, level, option), wanted);
}

/* Refused with the code and the kind, in a line that has the words; nothing is left open. */
static void check_refused(const struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                          const struct pp_io_addr *source, int code, const char *words)
{
    struct pp_error err = { 0 };
    const int before = test_fd_count();

    assert_int_equal(pp_io_kernel.socket(addr, options, source, &err), code);
    assert_int_equal(err.code, code);
    assert_int_equal(err.kind, source ? PP_ERROR_RUN : PP_ERROR_UNAVAILABLE);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    assert_int_equal(test_fd_count(), before);
}

/* What runs between giving it up and taking it back must not assert. */
static void be_root(bool root)
{
    if (getuid() == 0)
        (void)seteuid(root ? 0 : 65534);
}

static int socket_without_root(const struct pp_io_socket_options *options, struct pp_error *err)
{
    const struct pp_io_addr addr = loopback(0);
    int fd;

    be_root(false);
    fd = pp_io_kernel.socket(&addr, options, NULL, err);
    be_root(true);
    return fd;
}

static void nagle_delay_stays_where_it_is_asked_for(void **state)
{
    const struct test_pair pair = pair_with(loopback(0),
                                            &(struct pp_io_socket_options){ .nagle = true });

    (void)state;
    check_both(&pair, IPPROTO_TCP, TCP_NODELAY, 0);
}

static void check_congestion(int fd, const char *wanted)
{
    char name[16] = "";
    socklen_t len = sizeof(name);

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    assert_string_equal(name, wanted);
}

/* Every kernel has reno, and allows it to all. */
static void congestion_control_is_the_one_asked_for(void **state)
{
    const struct test_pair pair = pair_with(loopback(0),
                                            &(struct pp_io_socket_options){ .congestion = "reno" });

    (void)state;
    check_congestion(pair.near, "reno");
    check_congestion(pair.far, "reno");
}

static void unknown_congestion_control_is_refused_with_what_there_is(void **state)
{
    const struct pp_io_addr addr = loopback(0);
    const struct pp_io_socket_options options = { .congestion = "pp_nonsense" };

    (void)state;
    check_refused(&addr, &options, NULL, -ENOENT, "\"pp_nonsense\"");
    check_refused(&addr, &options, NULL, -ENOENT, "reno");
}

static bool read_words(const char *path, char *text, int bytes)
{
    FILE *file = fopen(path, "re");
    const bool read = file && fgets(text, bytes, file);

    if (file)
        (void)fclose(file);
    return read;
}

/* The first that is loaded and not allowed to all; false: there is none. */
static bool find_forbidden_congestion(char name[16])
{
    char available[256];
    char allowed[256];
    char *rest = available;
    const char *word;

    if (!read_words("/proc/sys/net/ipv4/tcp_available_congestion_control", available, 256) ||
        !read_words("/proc/sys/net/ipv4/tcp_allowed_congestion_control", allowed, 256))
        return false;
    while ((word = strtok_r(rest, " \n", &rest)))
        if (!strstr(allowed, word)) {
            (void)snprintf(name, 16, "%s", word);
            return true;
        }
    return false;
}

static void congestion_control_that_needs_root_is_refused_with_the_way_out(void **state)
{
    struct pp_io_socket_options options = { 0 };
    struct pp_error err = { 0 };

    (void)state;
    if (!find_forbidden_congestion(options.congestion))
        skip();
    assert_int_equal(socket_without_root(&options, &err), -EPERM);
    assert_int_equal(err.kind, PP_ERROR_UNAVAILABLE);
    assert_non_null(strstr(err.text, options.congestion));
    assert_non_null(strstr(err.text, "net.ipv4.tcp_allowed_congestion_control"));
}

static void the_type_of_service_is_the_one_asked_for(void **state)
{
    const struct pp_io_socket_options options = { .tos_given = true, .tos = 0x10 };
    const struct test_pair pair = pair_with(loopback(0), &options);

    (void)state;
    check_both(&pair, IPPROTO_IP, IP_TOS, 0x10);
}

static void the_traffic_class_is_the_one_asked_for(void **state)
{
    const struct pp_io_socket_options options = { .tos_given = true, .tos = 0xB8 };
    struct test_pair pair;

    (void)state;
    test_needs_ipv6();
    pair = pair_with(loopback6(0), &options);
    check_both(&pair, IPPROTO_IPV6, IPV6_TCLASS, 0xB8);
    check_both(&pair, IPPROTO_IP, IP_TOS, 0xB8); /* for mapped addresses */
}

static void a_type_of_service_of_0_is_none(void **state)
{
    const struct pp_io_socket_options options = { .tos_given = true, .dgram = true };
    const struct pp_io_addr addr = loopback(0);

    (void)state;
    assert_int_equal(option_of(socket_with(&addr, &options), IPPROTO_IP, IP_TOS), 0);
}

/* The kernel doubles both. */
static void buffers_are_of_the_sizes_asked_for(void **state)
{
    struct pp_io_socket_options options = { .sndbuf = 100000, .rcvbuf = 50000 };
    const struct test_pair pair = pair_with(loopback(0), &options);

    (void)state;
    check_both(&pair, SOL_SOCKET, SO_SNDBUF, 200000);
    check_both(&pair, SOL_SOCKET, SO_RCVBUF, 100000);
}

static void buffers_are_cut_to_what_is_granted_without_root(void **state)
{
    struct pp_io_socket_options options = { .rcvbuf = UINT32_MAX };
    const int fd = socket_without_root(&options, NULL);
    char most[32];

    (void)state;
    assert_true(fd >= 0);
    if (!read_words("/proc/sys/net/core/rmem_max", most, sizeof(most)))
        skip();
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_RCVBUF), 2 * atoi(most));
}

static void check_busy_poll(int fd, const struct pp_error *err)
{
    if (fd >= 0) {
        assert_int_equal(option_of(fd, SOL_SOCKET, SO_BUSY_POLL), 1000000);
        return;
    }
    assert_int_equal(err->kind, PP_ERROR_UNAVAILABLE);
    assert_non_null(strstr(err->text, "cannot busy-poll"));
    if (fd == -EPERM)
        assert_non_null(strstr(err->text, "CAP_NET_ADMIN"));
    else
        assert_int_equal(fd, -ENOPROTOOPT); /* a kernel without it */
}

/* Older kernels allow it to root only. */
static void busy_polling_is_set_or_refused_with_the_way_out(void **state)
{
    const struct pp_io_socket_options options = { .busy_poll_given = true,
                                                  .busy_poll_us = 1000000 };
    const struct pp_io_addr addr = loopback(0);
    struct pp_error errs[2] = { 0 };

    (void)state;
    check_busy_poll(pp_io_kernel.socket(&addr, &options, NULL, &errs[0]), &errs[0]);
    check_busy_poll(socket_without_root(&options, &errs[1]), &errs[1]);
}

/* Each of these would be an error if it were set. */
static void what_makes_no_sense_for_a_socket_is_ignored(void **state)
{
    struct pp_io_socket_options options = { .mptcp = true,
                                            .tos_given = true,
                                            .tos = 1,
                                            .busy_poll_given = true,
                                            .busy_poll_us = 1,
                                            .congestion = "pp_nonsense" };
    struct pp_io_addr addr;

    (void)state;
    assert_int_equal(pp_io_addr_unix(&addr, "/nowhere"), 0);
    assert_true(socket_with(&addr, &options) >= 0);
    addr = loopback(0);
    options =
        (struct pp_io_socket_options){ .dgram = true, .mptcp = true, .congestion = "pp_nonsense" };
    assert_true(socket_with(&addr, &options) >= 0);
}

/* ---- Multipath TCP ----------------------------------------------------------------------- */

static void multipath_tcp_is_spoken_where_the_kernel_has_it(void **state)
{
    struct fixture *f = *state;
    const struct pp_io_socket_options options = { .mptcp = true };
    const struct pp_io_addr addr = loopback(0);
    struct pp_error err = { 0 };
    const int fd = pp_io_kernel.socket(&addr, &options, NULL, &err);
    struct test_pair pair;
    struct test_pinger *pinger;

    if (fd < 0) {
        assert_int_equal(err.kind, PP_ERROR_UNAVAILABLE);
        assert_non_null(strstr(err.text, "without --mptcp"));
        skip();
    }
    pair = pair_with(addr, &options);
    check_both(&pair, SOL_SOCKET, SO_PROTOCOL, IPPROTO_MPTCP);
    pinger = test_pinger(f, test_loop(f), pair.near, 20);
    test_echo_thread(f, pair.far);
    test_pinger_start(pinger);
    test_run(pinger->loop);
    test_pinger_is_well(pinger);
}

/* They are not steered, but each connection comes in at one of them. */
static void a_group_for_multipath_tcp_listens(void **state)
{
    const struct pp_io_socket_options options = { .mptcp = true };
    struct pp_io_addr addr = loopback(0);
    struct pp_error err = { 0 };
    int fds[2];
    int client;

    (void)state;
    if (pp_io_kernel.listen(&addr, &options, NULL, 2, fds, &err) < 0) {
        assert_int_equal(err.kind, PP_ERROR_UNAVAILABLE);
        skip();
    }
    for (int i = 0; i < 8; i++) {
        client = test_connect(&addr);
        assert_true(accept(fds[0], NULL, NULL) >= 0 || accept(fds[1], NULL, NULL) >= 0);
        assert_int_equal(close(client), 0);
    }
}

/* In a child, because a thread does not come back from a network of its own. */
static int try_without_mptcp(void)
{
    const struct pp_io_addr addr = loopback(0);
    const struct pp_io_socket_options options = { .mptcp = true };
    struct pp_error err = { 0 };
    FILE *file;

    if (unshare(CLONE_NEWNET) < 0 || !(file = fopen("/proc/sys/net/mptcp/enabled", "we")))
        return 77;
    if (fputs("0", file) < 0 || fclose(file) != 0)
        return 77;
    if (pp_io_kernel.socket(&addr, &options, NULL, &err) != -ENOPROTOOPT)
        return 1;
    if (err.kind != PP_ERROR_UNAVAILABLE || !strstr(err.text, "sysctl net.mptcp.enabled=1"))
        return 2;
    return 0;
}

static void multipath_tcp_that_is_switched_off_is_refused_with_the_way_out(void **state)
{
    int status;
    const pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(try_without_mptcp());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- sources ----------------------------------------------------------------------------- */

/* All of 127.0.0.0/8 is this machine. */
static struct pp_io_addr source(uint16_t port)
{
    struct pp_io_addr addr = loopback(port);

    addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    return addr;
}

static int bound_socket(const struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                        const struct pp_io_addr *from)
{
    struct pp_error err = { 0 };
    const int fd = pp_io_kernel.socket(addr, options, from, &err);

    if (fd < 0)
        fail_msg("%s", err.text);
    return fd;
}

static struct pp_io_addr name_of(int fd)
{
    struct pp_io_addr addr = { .len = sizeof(addr.un) };

    assert_int_equal(getsockname(fd, &addr.any, &addr.len), 0);
    return addr;
}

static void check_source(bool dgram)
{
    const struct pp_io_socket_options options = { .dgram = dgram };
    struct pp_io_addr addr = loopback(0);
    const struct pp_io_addr from = source(0);
    const int server = listen_one(&addr, &options, NULL);
    const int fd = bound_socket(&addr, &options, &from);

    assert_true(server >= 0);
    assert_int_equal(name_of(fd).in.sin_port, 0); /* chosen when it connects */
    assert_true(connect(fd, &addr.any, addr.len) == 0 || errno == EINPROGRESS);
    assert_int_equal(name_of(fd).in.sin_addr.s_addr, from.in.sin_addr.s_addr);
    assert_int_not_equal(name_of(fd).in.sin_port, 0);
}

static void a_source_without_a_port_gets_one_when_it_connects(void **state)
{
    (void)state;
    check_source(false);
    check_source(true);
}

/* The port of a socket that is closed again. */
static uint16_t free_port(void)
{
    struct pp_io_addr addr = source(0);
    const int fd = listen_one(&addr, NULL, NULL);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    return ntohs(addr.in.sin_port);
}

/* The client ends its connection first, so that it lingers in TIME_WAIT on its port. The servers
 * are two because the same two ports cannot meet again until that is over. */
static void a_source_port_can_be_taken_again_at_once(void **state)
{
    const struct pp_io_addr from = source(free_port());

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct pp_io_addr addr = loopback(0);
        const int server = listen_on(&addr);
        const int fd = bound_socket(&addr, NULL, &from);
        int served;

        assert_int_equal(name_of(fd).in.sin_port, from.in.sin_port);
        assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
        assert_int_equal(connect(fd, &addr.any, addr.len), 0);
        served = accept(server, NULL, NULL);
        assert_true(served >= 0);
        assert_int_equal(close(fd), 0);
        test_read_eof(served);
        assert_int_equal(close(served), 0);
    }
}

static void a_source_that_cannot_be_is_refused_by_its_name(void **state)
{
    const struct pp_io_socket_options datagrams = { .dgram = true };
    const struct pp_io_addr addr = loopback(3131);
    struct pp_io_addr from = source(0);
    struct pp_io_addr taken = source(0);

    (void)state;
    assert_true(listen_one(&taken, NULL, NULL) >= 0);
    check_refused(&addr, NULL, &taken, -EADDRINUSE, "cannot bind to 127.0.0.2:");
    taken = source(0);
    assert_true(listen_one(&taken, &datagrams, NULL) >= 0);
    check_refused(&addr, &datagrams, &taken, -EADDRINUSE, "its port is taken");
    from.in.sin_addr.s_addr = htonl(0xC6336401);
    check_refused(&addr, NULL, &from, -EADDRNOTAVAIL, "cannot bind to 198.51.100.1:0: ");
}

static void a_source_of_another_family_is_refused(void **state)
{
    const struct pp_io_addr addr = loopback(3131);
    const struct pp_io_addr addr6 = loopback6(3131);
    const struct pp_io_addr from = source(0);
    const struct pp_io_addr from6 = loopback6(0);

    (void)state;
    test_needs_ipv6();
    check_refused(&addr, NULL, &from6, -EAFNOSUPPORT, "of another family");
    check_refused(&addr6, NULL, &from, -EINVAL, "of another family");
}

/* ---- connected to itself ----------------------------------------------------------------- */

static void check_self_connected(struct pp_io_addr addr)
{
    const int fd = socket(addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_false(pp_io_kernel.is_self_connected(fd));
    assert_int_equal(bind(fd, &addr.any, addr.len), 0);
    addr = name_of(fd);
    assert_false(pp_io_kernel.is_self_connected(fd));
    assert_int_equal(connect(fd, &addr.any, addr.len), 0);
    assert_true(pp_io_kernel.is_self_connected(fd));
}

static void a_connection_to_itself_is_told(void **state)
{
    (void)state;
    check_self_connected(loopback(0));
}

static void a_connection_to_itself_is_told_over_ipv6(void **state)
{
    (void)state;
    test_needs_ipv6();
    check_self_connected(loopback6(0));
}

static void a_connection_of_two_is_none_to_itself(void **state)
{
    const struct test_pair pair = test_pair(AF_INET);
    int fds[2];

    (void)state;
    assert_false(pp_io_kernel.is_self_connected(pair.near));
    assert_false(pp_io_kernel.is_self_connected(pair.far));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_false(pp_io_kernel.is_self_connected(fds[0]));
    assert_false(pp_io_kernel.is_self_connected(-1));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_address_is_written_as_people_read_it),
        TEST(a_link_local_address_is_written_with_its_scope),
        TEST(a_unix_address_is_written_as_its_path),
        TEST(a_unix_address_without_a_path_is_written_in_words),
        TEST(a_path_that_is_no_unix_address_is_refused),
        TEST(port_0_is_filled_in_and_can_be_connected_to),
        TEST(port_0_is_filled_in_and_can_be_connected_to_over_ipv6),
        TEST(both_ends_of_a_connection_are_nonblocking_and_without_nagle_delay),
        TEST(a_port_in_use_is_refused_by_its_number),
        TEST(a_foreign_address_is_refused_by_its_name),
        TEST(errors_are_fine_without_anywhere_to_put_the_text),
        TEST(a_port_can_be_listened_on_again_at_once),
        TEST(nagle_delay_stays_where_it_is_asked_for),
        TEST(congestion_control_is_the_one_asked_for),
        TEST(unknown_congestion_control_is_refused_with_what_there_is),
        TEST(congestion_control_that_needs_root_is_refused_with_the_way_out),
        TEST(the_type_of_service_is_the_one_asked_for),
        TEST(the_traffic_class_is_the_one_asked_for),
        TEST(a_type_of_service_of_0_is_none),
        TEST(buffers_are_of_the_sizes_asked_for),
        TEST(buffers_are_cut_to_what_is_granted_without_root),
        TEST(busy_polling_is_set_or_refused_with_the_way_out),
        TEST(what_makes_no_sense_for_a_socket_is_ignored),
        TEST(multipath_tcp_is_spoken_where_the_kernel_has_it),
        TEST(a_group_for_multipath_tcp_listens),
        TEST(multipath_tcp_that_is_switched_off_is_refused_with_the_way_out),
        TEST(a_source_without_a_port_gets_one_when_it_connects),
        TEST(a_source_port_can_be_taken_again_at_once),
        TEST(a_source_that_cannot_be_is_refused_by_its_name),
        TEST(a_source_of_another_family_is_refused),
        TEST(a_connection_to_itself_is_told),
        TEST(a_connection_to_itself_is_told_over_ipv6),
        TEST(a_connection_of_two_is_none_to_itself),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
