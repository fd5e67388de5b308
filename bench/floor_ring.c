/* The floor of many connections: each end is one ring with a receive that goes on for ever on each
 * connection, buffers that the kernel picks, and sends that say nothing unless they fail. One
 * system call hands in all sends of a turn, and waits for the next answers. */
#include "floor.h"

#include <err.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ENTRIES 4096u
#define BUFFERS 4096u
#define BUFFER_BYTES 64u
#define GROUP 1
#define OF_SENDS UINT64_MAX

struct ring;

typedef void ring_message(struct ring *ring, unsigned connection, const char *message);

struct ring {
    struct io_uring uring;
    struct pair *pair;
    ring_message *on_message;
    struct io_uring_buf_ring *buffers;
    char *memory;         /* of buffers */
    char *messages;       /* one a connection: what is being sent there */
    unsigned connections; /* in all */
    unsigned open;        /* whose end has not come */
    uint32_t size;
};

static void *zeroed(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        err(1, "mmap");
    return memory;
}

static void check(int ret, const char *what)
{
    if (ret >= 0)
        return;
    errno = -ret;
    err(1, "%s", what);
}

static struct io_uring_sqe *next_sqe(struct ring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

    if (!sqe) {
        check(io_uring_submit(&ring->uring), "io_uring_submit");
        sqe = io_uring_get_sqe(&ring->uring);
    }
    if (!sqe)
        errx(1, "the ring takes no more");
    return sqe;
}

static void give_buffer(struct ring *ring, unsigned number, int ahead)
{
    io_uring_buf_ring_add(ring->buffers, ring->memory + (size_t)number * BUFFER_BYTES, BUFFER_BYTES,
                          (unsigned short)number, io_uring_buf_ring_mask(BUFFERS), ahead);
}

static void receive(struct ring *ring, unsigned connection)
{
    struct io_uring_sqe *sqe = next_sqe(ring);

    io_uring_prep_recv_multishot(sqe, (int)connection, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
    sqe->buf_group = GROUP;
    sqe->user_data = connection;
}

static void send_message(struct ring *ring, unsigned connection, const char *message)
{
    char *copy = ring->messages + (size_t)connection * BUFFER_BYTES;
    struct io_uring_sqe *sqe = next_sqe(ring);

    memcpy(copy, message, ring->size);
    io_uring_prep_send(sqe, (int)connection, copy, ring->size, MSG_NOSIGNAL);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = OF_SENDS;
}

static void ring_open(struct ring *ring, struct pair *pair, const int *fds,
                      ring_message *on_message)
{
    struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER |
                                               IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                      .cq_entries = 4 * ENTRIES };
    struct io_uring_buf_reg reg = { .ring_entries = BUFFERS, .bgid = GROUP };

    *ring = (struct ring){ .pair = pair,
                           .on_message = on_message,
                           .connections = pair->options->connections,
                           .open = pair->options->connections,
                           .size = pair->options->size };
    check(io_uring_queue_init_params(ENTRIES, &ring->uring, &params), "io_uring_queue_init");
    check(io_uring_register_ring_fd(&ring->uring), "io_uring_register_ring_fd");
    check(io_uring_register_files(&ring->uring, fds, ring->open), "io_uring_register_files");
    ring->buffers = zeroed(BUFFERS * sizeof(struct io_uring_buf));
    ring->memory = zeroed((size_t)BUFFERS * BUFFER_BYTES);
    ring->messages = zeroed((size_t)ring->connections * BUFFER_BYTES);
    reg.ring_addr = (uint64_t)(uintptr_t)ring->buffers;
    check(io_uring_register_buf_ring(&ring->uring, &reg, 0), "io_uring_register_buf_ring");
    for (unsigned i = 0; i < BUFFERS; i++)
        give_buffer(ring, i, (int)i);
    io_uring_buf_ring_advance(ring->buffers, (int)BUFFERS);
    for (unsigned i = 0; i < ring->open; i++)
        receive(ring, i);
    check(io_uring_submit(&ring->uring), "io_uring_submit");
}

static void ring_close(struct ring *ring)
{
    io_uring_queue_exit(&ring->uring);
    (void)munmap(ring->buffers, BUFFERS * sizeof(struct io_uring_buf));
    (void)munmap(ring->memory, (size_t)BUFFERS * BUFFER_BYTES);
    (void)munmap(ring->messages, (size_t)ring->connections * BUFFER_BYTES);
}

/* Whether it has given back a buffer. */
static bool take(struct ring *ring, const struct io_uring_cqe *cqe, int ahead)
{
    const unsigned connection = (unsigned)cqe->user_data;
    const unsigned number = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    if (cqe->user_data == OF_SENDS) {
        check(cqe->res == -EPIPE || cqe->res == -ECONNRESET ? 0 : cqe->res, "send");
        return false;
    }
    if (cqe->res == 0 || cqe->res == -ECONNRESET) {
        ring->open--;
        return false;
    }
    if (cqe->res == -ENOBUFS) {
        receive(ring, connection);
        return false;
    }
    check(cqe->res, "recv");
    if ((uint32_t)cqe->res != ring->size)
        errx(1, "a message came in parts");
    ring->on_message(ring, connection, ring->memory + (size_t)number * BUFFER_BYTES);
    give_buffer(ring, number, ahead);
    if (!(cqe->flags & IORING_CQE_F_MORE))
        receive(ring, connection);
    return true;
}

static void turn(struct ring *ring)
{
    struct io_uring_cqe *cqe;
    unsigned head, taken = 0;
    int given = 0;

    check(io_uring_submit_and_wait(&ring->uring, 1), "io_uring_submit_and_wait");
    io_uring_for_each_cqe(&ring->uring, head, cqe)
    {
        given += take(ring, cqe, given);
        taken++;
    }
    io_uring_buf_ring_cq_advance(&ring->uring, ring->buffers, given);
    io_uring_cq_advance(&ring->uring, taken - (unsigned)given);
}

static void on_request(struct ring *ring, unsigned connection, const char *message)
{
    send_message(ring, connection, message);
}

void floor_ring_server(struct pair *pair)
{
    struct ring ring;

    ring_open(&ring, pair, pair->server_fds, on_request);
    pair_server_ready(pair);
    while (ring.open > 0)
        turn(&ring);
    pair_close_server(pair);
    ring_close(&ring);
}

static void on_answer(struct ring *ring, unsigned connection, const char *message)
{
    if (memcmp(message, PAIR_PING, PAIR_PING_BYTES) != 0)
        errx(1, "the answer is not what was sent");
    ring->pair->received++;
    if (pair_take_ping(ring->pair))
        send_message(ring, connection, PAIR_PING);
}

void floor_ring_client(struct pair *pair)
{
    struct ring ring;

    ring_open(&ring, pair, pair->client_fds, on_answer);
    pair_client_start(pair);
    for (unsigned i = 0; i < ring.connections && pair_take_ping(pair); i++)
        send_message(&ring, i, PAIR_PING);
    while (pair->received < pair->sent)
        turn(&ring);
    pair_client_stop(pair);
    pair_close_client(pair);
    ring_close(&ring);
}
