/* The loop: what is the same for every engine. Starting, completing and cancelling operations, the
 * done list, timers, wakes, and the receives that wait for a buffer. */
#include "io/loop.h"

#include "base/assert.h"
#include "base/container.h"
#include "io/engine.h"
#include "io/sender.h"

#include <assert.h>
#include <errno.h>

static_assert(offsetof(struct pp_io_loop, head) == 0,
              "it is found without knowing a loop's inside");
static_assert(sizeof(struct pp_io_op) == 40,
              "an idle connection costs an operation: keep it small");

/* Callbacks between two looks at the kernel, so that peers which are always ready do not keep the
 * others waiting: those that were due at the last look, up to the first number, and of those that
 * have become due since then, up to the second. */
#define CALLBACKS_PER_LOOK 1024
#define CALLBACKS_AGAIN 16

/* A socket for datagrams stands for many peers: so many small ones of it come in a row, and then it
 * is the others' turn. */
#define DATAGRAMS_IN_A_ROW 32

/* An operation that has moved so many bytes is bulk: its callback comes after all others, one a
 * look, or as many more as fit into a budget, in which each other callback counts as if it had
 * moved a KiB. A peer with small messages then waits for one piece of others' large ones, and these
 * go on beside a thousand small ones. While there was nothing but bulk in so many looks, its budget
 * is larger. */
#define BULK_BYTES 4096
#define BULK_BYTES_PER_LOOK (INT64_C(64) * 1024)
#define BULK_BYTES_ALONE (INT64_C(512) * 1024)
#define BULK_ALONE_LOOKS 64
#define BULK_BYTES_PER_CALLBACK 1024

/* Between two tries of what no event announces. */
#define RETRY_NS PP_NS_PER_MS

/* After more callbacks than these, how long the next wait takes is counted from their end. */
#define CALLBACKS_QUICK 16

/* The loop's own operation: its wake descriptor. */
#define ARMED_BY_LOOP 1

/* ---- states ---- */

/* An operation goes from idle to armed, perhaps to canceling, to done, and is idle again. */
static inline void op_set_state(struct pp_io_op *op, enum pp_io_state state)
{
    static const uint8_t may_be[] = {
        [PP_IO_IDLE] = 1 << PP_IO_DONE,
        [PP_IO_ARMED] = 1 << PP_IO_IDLE,
        [PP_IO_CANCELING] = 1 << PP_IO_ARMED,
        [PP_IO_DONE] = 1 << PP_IO_ARMED | 1 << PP_IO_CANCELING,
    };

    pp_assert(op->state <= PP_IO_DONE && may_be[state] >> op->state & 1);
    op->state = (uint8_t)state;
}

/* ---- the done list ---- */

bool pp_io_queue_remove(struct pp_io_queue *queue, struct pp_io_op *op)
{
    struct pp_io_op *before = NULL;

    for (struct pp_io_op *at = queue->head; at; before = at, at = at->next) {
        if (at != op)
            continue;
        if (before)
            before->next = op->next;
        else
            queue->head = op->next;
        if (queue->tail == op)
            queue->tail = before;
        return true;
    }
    return false;
}

static_assert(PP_IO_SEND_BACK - PP_IO_RECV == 4, "receives and sends stand side by side");

static bool moves_bytes(const struct pp_io_op *op)
{
    return op->kind >= PP_IO_RECV && op->kind <= PP_IO_SEND_BACK;
}

static bool is_bulk(const struct pp_io_op *op)
{
    return op->res >= BULK_BYTES && moves_bytes(op);
}

static void complete_out_of_turn(struct pp_io_loop *loop, struct pp_io_op *op)
{
    if (is_bulk(op)) {
        pp_io_queue_push(&loop->bulk, op);
    } else if (op == loop->in_a_row) {
        pp_assert(!loop->comes_again);
        loop->comes_again = true;
    } else {
        pp_io_queue_push(&loop->done, op);
    }
}

void pp_io_complete(struct pp_io_loop *loop, struct pp_io_op *op, int32_t res)
{
    op_set_state(op, PP_IO_DONE);
    op->res = res;
    if (res >= BULK_BYTES || op == loop->in_a_row)
        complete_out_of_turn(loop, op);
    else
        pp_io_queue_push(&loop->done, op);
}

static void op_arm(struct pp_io_loop *loop, struct pp_io_op *op)
{
    op_set_state(op, PP_IO_ARMED);
    loop->armed++;
    if (op->kind == PP_IO_TIMER)
        pp_io_timers_add(&loop->timers, op);
    else if (op->kind == PP_IO_WAKE)
        return;
    else if (op->fd < 0 || (uint32_t)op->fd >= loop->fds_max)
        pp_io_complete(loop, op, -EBADF);
    else
        loop->engine->submit(loop, op);
}

static void op_rearm(struct pp_io_loop *loop, struct pp_io_op *op)
{
    pp_assert(op->len > 0 || (op->kind != PP_IO_RECV && op->kind != PP_IO_SEND));
    op_arm(loop, op);
}

static bool has_filled_small(const struct pp_io_loop *loop, const struct pp_io_op *op)
{
    return op->res > 0 && (size_t)op->res == loop->buffers[PP_IO_SMALL].pool.item_bytes;
}

static inline __attribute__((always_inline)) void op_finish(struct pp_io_loop *loop,
                                                            struct pp_io_op *op)
{
    pp_assert(loop->armed > 0);
    op_set_state(op, PP_IO_IDLE);
    loop->armed--;
    if (op->kind == PP_IO_WAKE)
        atomic_store(&op->woken, false); /* a wake from here on asks for another callback */
    else if (op->kind == PP_IO_SEND || op->kind == PP_IO_SEND_BACK)
        op->lazy = false; /* it would turn into large */
    else if (op->kind == PP_IO_RECV_POOLED && has_filled_small(loop, op))
        op->large = true;
    if (op->cb(op) == PP_IO_REARM)
        op_rearm(loop, op);
    if (__builtin_expect(loop->check != NULL, 0))
        loop->check(loop->check_owner);
}

void pp_io_loop_check(struct pp_io_loop *loop, void (*check)(void *owner), void *owner)
{
    loop->check = check;
    loop->check_owner = owner;
}

/* Calls back, and goes on while there is another datagram at once. */
static void run_in_a_row(struct pp_io_loop *loop, struct pp_io_op *op)
{
    unsigned left = DATAGRAMS_IN_A_ROW;

    pp_assert(!loop->in_a_row);
    do {
        loop->in_a_row = --left > 0 ? op : NULL;
        loop->comes_again = false;
        op_finish(loop, op);
    } while (loop->comes_again);
    loop->in_a_row = NULL;
    pp_assert(left < DATAGRAMS_IN_A_ROW);
}

/* Each of these returns how many callbacks it ran. *fd is that of the last one. */
static int run_small(struct pp_io_loop *loop, int *fd)
{
    const struct pp_io_op *last = loop->done.head ? loop->done.tail : NULL;
    int count = 0, limit = CALLBACKS_PER_LOOK;

    while (count < limit) {
        struct pp_io_op *op = pp_io_queue_pop(&loop->done);

        if (!op)
            break;
        count++;
        if (op == last && limit > count + CALLBACKS_AGAIN)
            limit = count + CALLBACKS_AGAIN;
        *fd = op->fd;
        if (op->kind == PP_IO_RECV_FROM)
            run_in_a_row(loop, op);
        else
            op_finish(loop, op);
    }
    return count;
}

static __attribute__((noinline)) int run_bulk(struct pp_io_loop *loop, int64_t budget)
{
    int count = 0;

    while (budget > 0) {
        struct pp_io_op *op = pp_io_queue_pop(&loop->bulk);

        if (!op)
            break;
        pp_assert(is_bulk(op));
        count++;
        budget -= op->res;
        op_finish(loop, op);
    }
    return count;
}

/* After so many other callbacks, the last of which was of fd (-1: of none). */
static int64_t bulk_budget(struct pp_io_loop *loop, int count, int fd)
{
    pp_assert(loop->bulk.head && loop->mixed_looks <= BULK_ALONE_LOOKS);
    if (fd >= 0 && fd != loop->bulk.head->fd)
        loop->mixed_looks = BULK_ALONE_LOOKS;
    else if (loop->mixed_looks > 0)
        loop->mixed_looks--;
    if (loop->mixed_looks == 0)
        return BULK_BYTES_ALONE;
    return BULK_BYTES_PER_LOOK + (int64_t)count * BULK_BYTES_PER_CALLBACK;
}

/* ---- starting operations ---- */

static void op_start(struct pp_io_loop *loop, struct pp_io_op *op, enum pp_io_kind kind, int fd,
                     pp_io_cb *cb)
{
    pp_assert(cb);
    op->cb = cb;
    op->fd = fd;
    op->kind = (uint8_t)kind;
    op_arm(loop, op);
}

void pp_io_accept(struct pp_io_loop *loop, struct pp_io_op *op, int listen_fd, pp_io_cb *cb)
{
    op->peer = NULL;
    op_start(loop, op, PP_IO_ACCEPT, listen_fd, cb);
}

void pp_io_accept_from(struct pp_io_loop *loop, struct pp_io_op *op, int listen_fd,
                       struct pp_io_addr *peer, pp_io_cb *cb)
{
    pp_assert(peer);
    op->peer = peer;
    op_start(loop, op, PP_IO_ACCEPT, listen_fd, cb);
}

void pp_io_connect(struct pp_io_loop *loop, struct pp_io_op *op, int fd,
                   const struct sockaddr *addr, socklen_t addr_len, pp_io_cb *cb)
{
    pp_assert(addr && addr_len >= sizeof addr->sa_family);
    op->addr = addr;
    op->len = addr_len;
    op->res = 0;
    op_start(loop, op, PP_IO_CONNECT, fd, cb);
}

void pp_io_recv(struct pp_io_loop *loop, struct pp_io_op *op, int fd, void *buf, uint32_t len,
                pp_io_cb *cb)
{
    pp_assert(buf || len == 0);
    op->buf = buf;
    op->len = len;
    op_start(loop, op, PP_IO_RECV, fd, cb);
}

void pp_io_recv_pooled(struct pp_io_loop *loop, struct pp_io_op *op, int fd, pp_io_cb *cb)
{
    op_start(loop, op, PP_IO_RECV_POOLED, fd, cb);
}

void pp_io_recv_from(struct pp_io_loop *loop, struct pp_io_op *op, int fd, pp_io_cb *cb)
{
    pp_assert(loop->buffers[PP_IO_DATAGRAM].pool.capacity > 0);
    op_start(loop, op, PP_IO_RECV_FROM, fd, cb);
}

void pp_io_send_back(struct pp_io_loop *loop, struct pp_io_op *op, int fd, char *buf, uint32_t len,
                     pp_io_cb *cb)
{
    pp_assert(loop->buffers[PP_IO_DATAGRAM].pool.capacity > 0);
    op->buf = buf;
    op->len = len;
    op->lazy = false;
    op_start(loop, op, PP_IO_SEND_BACK, fd, cb);
}

void pp_io_send(struct pp_io_loop *loop, struct pp_io_op *op, int fd, const void *buf, uint32_t len,
                pp_io_cb *cb)
{
    pp_assert(buf || len == 0);
    op->buf = (char *)(uintptr_t)buf; /* one field serves both directions; it is only read from */
    op->len = len;
    op->lazy = false;
    op_start(loop, op, PP_IO_SEND, fd, cb);
}

void pp_io_shutdown(struct pp_io_loop *loop, struct pp_io_op *op, int fd, pp_io_cb *cb)
{
    op_start(loop, op, PP_IO_SHUTDOWN, fd, cb);
}

void pp_io_close(struct pp_io_loop *loop, struct pp_io_op *op, int fd, pp_io_cb *cb)
{
    if (fd >= 0 && (uint32_t)fd < loop->fds_max)
        loop->types[fd] = PP_IO_UNKNOWN;
    op_start(loop, op, PP_IO_CLOSE, fd, cb);
}

void pp_io_timer(struct pp_io_loop *loop, struct pp_io_op *op, uint64_t deadline_ns, pp_io_cb *cb)
{
    op->deadline_ns = deadline_ns;
    op_start(loop, op, PP_IO_TIMER, -1, cb);
}

void pp_io_wake_wait(struct pp_io_loop *loop, struct pp_io_op *op, pp_io_cb *cb)
{
    op_start(loop, op, PP_IO_WAKE, -1, cb);
}

bool pp_io_advance(struct pp_io_op *op)
{
    pp_assert(op->res >= 0 && (uint32_t)op->res <= op->len);
    op->buf += op->res;
    op->len -= (uint32_t)op->res;
    return op->len == 0;
}

/* ---- cancelling ---- */

/* Whoever sets woken completes the operation: we, or the thread that was faster. */
static void wake_cancel(struct pp_io_loop *loop, struct pp_io_op *op)
{
    pp_assert(op->kind == PP_IO_WAKE);
    if (!atomic_exchange(&op->woken, true))
        pp_io_complete(loop, op, -ECANCELED);
}

/* Whether op was waiting for a buffer or another try, and is taken out of that queue. */
static bool leave_queue(struct pp_io_loop *loop, struct pp_io_op *op)
{
    if (pp_io_takes_buffer(op) && pp_io_queue_remove(&pp_io_buffers_of(loop, op)->starved, op))
        return true;
    return pp_io_queue_remove(&loop->postponed, op);
}

void pp_io_cancel(struct pp_io_loop *loop, struct pp_io_op *op)
{
    if (op->state != PP_IO_ARMED)
        return;
    if (op->kind == PP_IO_TIMER) {
        pp_io_timers_remove(&loop->timers, op);
        pp_io_complete(loop, op, -ECANCELED);
    } else if (op->kind == PP_IO_WAKE) {
        wake_cancel(loop, op);
    } else if (leave_queue(loop, op)) {
        pp_io_complete(loop, op, -ECANCELED);
    } else {
        op_set_state(op, PP_IO_CANCELING);
        loop->engine->cancel(loop, op);
    }
}

/* ---- wakes ---- */

void pp_io_wake(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct pp_io_op *head;

    if (atomic_exchange(&op->woken, true))
        return;
    head = atomic_load(&loop->woken);
    do {
        op->next = head;
    } while (!atomic_compare_exchange_weak(&loop->woken, &head, op));
    if (!head) /* the others were pushed onto a stack whose loop has been called already */
        loop->head.world->wake(loop->wake_fd);
}

static void drain_woken(struct pp_io_loop *loop)
{
    struct pp_io_op *op = atomic_exchange(&loop->woken, NULL);

    while (op) {
        struct pp_io_op *next = op->next;

        pp_assert(op->kind == PP_IO_WAKE);
        if (op->state == PP_IO_ARMED)
            pp_io_complete(loop, op, 0);
        else
            atomic_store(&op->woken, false);
        op = next;
    }
}

/* The stack is looked at after the descriptor was read: what is pushed from then on makes it
 * readable again. */
static enum pp_io_next on_wake_fd(struct pp_io_op *op)
{
    struct pp_io_loop *loop = container_of(op, struct pp_io_loop, wake_op);

    pp_io_count_syscall(loop);
    loop->head.world->wake_taken(op->fd);
    drain_woken(loop);
    return PP_IO_REARM;
}

void pp_io_watch_wakes(struct pp_io_loop *loop)
{
    pp_assert(loop->armed == 0);
    op_start(loop, &loop->wake_op, PP_IO_WATCH, loop->wake_fd, on_wake_fd);
}

/* ---- buffers ---- */

void pp_io_starve(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct pp_io_buffers *buffers = pp_io_buffers_of(loop, op);

    pp_assert(op->state == PP_IO_ARMED && pp_io_takes_buffer(op));
    pp_io_count(&loop->counters.starved);
    buffers->has_starved = true;
    pp_io_queue_push(&buffers->starved, op);
}

void pp_io_loop_constant(struct pp_io_loop *loop, const void *bytes, size_t size)
{
    loop->constant = bytes;
    loop->constant_bytes = size;
}

/* A datagram stands behind its sender. */
void pp_io_buffer_put(struct pp_io_loop *loop, char *buf)
{
    struct pp_io_buffers *buffers = loop->buffers;

    while (!pp_io_has_buffer(buffers, buf)) {
        buffers++;
        pp_assert(buffers < loop->buffers + PP_IO_CLASSES);
    }
    if (buffers == &loop->buffers[PP_IO_DATAGRAM])
        buf -= PP_IO_SENDER_BYTES;
    loop->engine->buffer_put(loop, buffers, buf);
}

uint32_t pp_io_buffer_share(const struct pp_io_buffers *buffers, uint32_t most)
{
    const uint32_t share = buffers->free / PP_IO_BUFFER_SHARES;

    pp_assert(most > 0 && buffers->free <= buffers->pool.capacity);
    return share < 1 ? 1 : share < most ? share : most;
}

uint32_t pp_io_recv_share(struct pp_io_loop *loop, const struct pp_io_op *op, uint32_t most)
{
    pp_assert(pp_io_takes_buffer(op));
    return pp_io_buffer_share(pp_io_buffers_of(loop, op), most);
}

/* As many receives as there are buffers try again: not all, or a crowd would come for each one. */
static void feed_starved(struct pp_io_loop *loop, struct pp_io_buffers *buffers)
{
    pp_assert(buffers->free <= buffers->pool.capacity);
    for (uint32_t left = buffers->free; left > 0; left--) {
        struct pp_io_op *op = pp_io_queue_pop(&buffers->starved);

        if (!op)
            return;
        loop->engine->submit(loop, op);
    }
}

bool pp_io_loop_has_starved(struct pp_io_loop *loop)
{
    bool starved = false;

    for (unsigned i = 0; i < PP_IO_DATAGRAM; i++) {
        struct pp_io_buffers *buffers = &loop->buffers[i];

        starved = starved || buffers->has_starved || buffers->starved.head;
        buffers->has_starved = false;
    }
    return starved;
}

/* ---- trying again ---- */

void pp_io_postpone(struct pp_io_loop *loop, struct pp_io_op *op)
{
    pp_assert(op->state == PP_IO_ARMED);
    if (!loop->postponed.head)
        loop->retry_ns = pp_io_now_ns(loop) + RETRY_NS;
    pp_io_queue_push(&loop->postponed, op);
}

static void retry_postponed(struct pp_io_loop *loop)
{
    struct pp_io_queue queue = loop->postponed;
    struct pp_io_op *op;

    loop->postponed.head = NULL; /* those that fail again are postponed anew */
    while ((op = pp_io_queue_pop(&queue))) {
        pp_assert(op->state == PP_IO_ARMED); /* canceling takes it out of the queue */
        loop->engine->submit(loop, op);
    }
}

/* ---- turns ---- */

static uint64_t next_deadline_ns(const struct pp_io_loop *loop)
{
    const struct pp_io_op *soonest = loop->timers.soonest;
    const uint64_t timer_ns = soonest ? soonest->deadline_ns : PP_IO_NO_DEADLINE;

    pp_assert(!soonest == !loop->timers.root);
    return loop->postponed.head && loop->retry_ns < timer_ns ? loop->retry_ns : timer_ns;
}

static void expire_timers(struct pp_io_loop *loop, uint64_t now_ns)
{
    struct pp_io_op *op;

    while ((op = loop->timers.soonest) && op->deadline_ns <= now_ns) {
        pp_assert(op->kind == PP_IO_TIMER);
        pp_io_timers_remove(&loop->timers, op);
        pp_io_complete(loop, op, 0);
    }
}

/* What is due by now. */
static void expire(struct pp_io_loop *loop, uint64_t now_ns)
{
    expire_timers(loop, now_ns);
    if (loop->postponed.head && loop->retry_ns <= now_ns)
        retry_postponed(loop);
}

/* The number of callbacks run, which may be none, or a negative errno. */
static int loop_turn(struct pp_io_loop *loop, bool may_wait)
{
    const uint64_t deadline_ns = next_deadline_ns(loop);
    const bool looks = loop->waiter.policy != PP_IO_WAIT_BLOCK;
    int fd = -1, ret;
    bool waits;

    pp_assert(loop->armed >= ARMED_BY_LOOP);
    for (unsigned i = 0; i < PP_IO_CLASSES; i++)
        if (loop->buffers[i].starved.head)
            feed_starved(loop, &loop->buffers[i]);
    waits = may_wait && !pp_io_has_done(loop);
    if (waits)
        ret = pp_io_wait_until(loop, deadline_ns);
    else
        ret = loop->engine->poll(loop, PP_IO_NO_WAIT);
    if (ret < 0)
        return ret;
    pp_io_count(&loop->counters.turns);
    if (atomic_load_explicit(&loop->woken, memory_order_relaxed))
        drain_woken(loop);
    if (loop->timers.soonest || loop->postponed.head)
        expire(loop, waits && looks ? loop->waiter.last_ns : pp_io_now_ns(loop));
    ret = run_small(loop, &fd);
    pp_assert(!loop->in_a_row);
    if (loop->bulk.head)
        ret += run_bulk(loop, bulk_budget(loop, ret, fd));
    if (looks && ret > CALLBACKS_QUICK)
        loop->waiter.last_ns = pp_io_now_ns(loop);
    return ret;
}

int pp_io_loop_poll(struct pp_io_loop *loop)
{
    const int ret = loop_turn(loop, false);

    return ret < 0 ? ret : 0;
}

int pp_io_loop_run_once(struct pp_io_loop *loop)
{
    int ret;

    do
        ret = loop_turn(loop, loop->armed > ARMED_BY_LOOP);
    while (ret == 0 && loop->armed > ARMED_BY_LOOP);
    return ret < 0 ? ret : 0;
}

int pp_io_loop_run(struct pp_io_loop *loop)
{
    int ret = 0;

    loop->head.world->thread_enter(loop);
    while (loop->armed > ARMED_BY_LOOP && ret >= 0)
        ret = loop_turn(loop, true);
    return ret < 0 ? ret : 0;
}
