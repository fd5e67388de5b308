/* The event loop: operations are started, and call back when they have completed (a proactor). This
 * is the layer's only public header. Not here: what the bytes mean, and when to measure.
 *
 * A loop belongs to the thread that runs it, from its first turn on; pp_io_wake() alone may be
 * called from any thread, and from a signal handler. Several loops can live in one process, on
 * different engines. */
#ifndef PP_IO_IO_H
#define PP_IO_IO_H

#include "base/clock.h"
#include "base/error.h"
#include "io/world.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pp_io_loop;
struct pp_io_op;

/* ---- operations -------------------------------------------------------------------------- */

enum pp_io_next {
    PP_IO_DISARM, /* the operation is idle: it may be started anew, or freed */
    PP_IO_REARM /* do what is left of the same request (there must be some), or ask for the next */
};

/* Runs when op has completed. op is idle during the call and op->res tells how it went; the
 * callback may start op anew itself, and then returns PP_IO_DISARM. */
typedef enum pp_io_next pp_io_cb(struct pp_io_op *op);

enum pp_io_kind {
    PP_IO_ACCEPT,
    PP_IO_CONNECT,
    PP_IO_RECV,
    PP_IO_RECV_POOLED,
    PP_IO_RECV_FROM,
    PP_IO_SEND,
    PP_IO_SEND_BACK,
    PP_IO_SHUTDOWN,
    PP_IO_CLOSE,
    PP_IO_TIMER,
    PP_IO_WAKE,
    PP_IO_WATCH /* inside this layer only: fd has become readable */
};

enum pp_io_state {
    PP_IO_IDLE,      /* the owner's */
    PP_IO_ARMED,     /* the engine's, or waiting in the loop for a buffer, a time or a wake */
    PP_IO_CANCELING, /* armed, and asked to end */
    PP_IO_DONE       /* on the done list: its callback will run in this turn or the next */
};

/* One operation. Embed it in the struct that owns it, zeroed; do not move it while it is armed.
 * It is 40 bytes because a server keeps one for every idle connection. */
struct pp_io_op {
    pp_io_cb *cb;
    union {
        struct pp_io_op *next;   /* the loop's */
        struct pp_io_op *sooner; /* timer: the loop's */
    };
    union {
        char *buf;                   /* recv, send: where the rest of the request begins */
        const struct sockaddr *addr; /* connect */
        struct pp_io_addr *peer;     /* accept: where the client's goes; NULL: it is not asked */
        uint64_t deadline_ns;        /* timer; the callback may move it before PP_IO_REARM */
    };
    union {
        struct {
            uint32_t len; /* recv, send: bytes left of the request; connect: length of addr */
            int fd;
        };
        struct pp_io_op *later; /* timer: the loop's */
    };
    union {
        int32_t res;     /* bytes, a file descriptor or 0; negative: -errno. Valid in cb only. */
        uint32_t number; /* timer: the loop's */
    };
    uint8_t kind;  /* enum pp_io_kind */
    uint8_t state; /* enum pp_io_state, written by the loop alone */
    union {
        bool lazy;         /* send: see pp_io_send() */
        bool large;        /* recv_pooled: see pp_io_recv_pooled() */
        atomic_bool woken; /* wake */
    };
    uint8_t tag; /* the owner's: the loop never touches it */
};

static inline bool pp_io_is_armed(const struct pp_io_op *op)
{
    return op->state != PP_IO_IDLE;
}

/* Starting cannot fail and never calls back before it returns: a failure that is found at once also
 * arrives as a completion with res < 0, so that callers have one error path. op must be idle. */

/* The next connection on listen_fd. res: its descriptor (non-blocking, close-on-exec), the
 * caller's. */
void pp_io_accept(struct pp_io_loop *loop, struct pp_io_op *op, int listen_fd, pp_io_cb *cb);

/* The same, with the client's address in *peer, which must stay valid until the callback. Its len
 * is 0 where the client was gone before it was asked. On some engines this is one more system call
 * for each connection. */
void pp_io_accept_from(struct pp_io_loop *loop, struct pp_io_op *op, int listen_fd,
                       struct pp_io_addr *peer, pp_io_cb *cb);

/* addr must stay valid until the callback. */
void pp_io_connect(struct pp_io_loop *loop, struct pp_io_op *op, int fd,
                   const struct sockaddr *addr, socklen_t addr_len, pp_io_cb *cb);

/* At most len bytes into buf; res 0 is the end of the stream. */
void pp_io_recv(struct pp_io_loop *loop, struct pp_io_op *op, int fd, void *buf, uint32_t len,
                pp_io_cb *cb);

/* As pp_io_recv(), but a buffer of the loop's is taken when bytes have come and not before: op->buf
 * then holds res bytes, is the caller's, and goes back with pp_io_buffer_put(). With res <= 0 there
 * is no buffer. When all buffers are out the receive waits for one, and nothing is lost. One
 * descriptor takes either kind of receive, not both in turn. After PP_IO_DISARM an engine may hold
 * what a peer goes on to send, in buffers that others then lack, until the owner asks for it or
 * closes the descriptor: whoever stops asking for long should watch pp_io_loop_has_starved().
 *
 * There are small and large buffers. The loop sets op->large once a receive has filled a small one,
 * and from then on this op takes large ones, where the loop has any. The owner may set it before
 * starting: a datagram that does not fit its buffer is cut, and a stream's receive is one call. */
void pp_io_recv_pooled(struct pp_io_loop *loop, struct pp_io_op *op, int fd, pp_io_cb *cb);

/* The next datagram on a socket that is not connected, in a buffer for datagrams: op->buf holds its
 * res bytes (0: an empty one, in a buffer too) and goes back with pp_io_buffer_put().
 * With res < 0 there is no buffer. The loop must have buffers for datagrams. */
void pp_io_recv_from(struct pp_io_loop *loop, struct pp_io_op *op, int fd, pp_io_cb *cb);

/* Whether buf, one of pp_io_recv_from()'s, may be answered: its sender can be written to (it has a
 * port, or a name), and it was sent to this host alone. An answer to a broadcast or a multicast
 * would come from each host that heard it, at the cost of whoever is named as its sender. */
bool pp_io_is_answerable(char *buf);

/* Sends the first len bytes of buf, one of pp_io_recv_from()'s, to where it came from; a datagram
 * goes whole or not at all. It comes from the address that the first one was sent to, also where
 * fd is bound to all addresses of the machine. op->lazy as for pp_io_send(). */
void pp_io_send_back(struct pp_io_loop *loop, struct pp_io_op *op, int fd, char *buf, uint32_t len,
                     pp_io_cb *cb);

/* res may be less than len: pp_io_advance() and PP_IO_REARM send the rest.
 * The owner may set op->lazy after starting, and clear it while op is armed: the callback of a send
 * that went out whole may then wait for the loop's next other event, which saves a system call. */
void pp_io_send(struct pp_io_loop *loop, struct pp_io_op *op, int fd, const void *buf, uint32_t len,
                pp_io_cb *cb);

/* No more will be sent: the peer reads the end of the stream. */
void pp_io_shutdown(struct pp_io_loop *loop, struct pp_io_op *op, int fd, pp_io_cb *cb);

/* No other operation may be armed on fd. A descriptor that a loop has worked on is closed here, so
 * that nothing the loop knows of it outlives it. */
void pp_io_close(struct pp_io_loop *loop, struct pp_io_op *op, int fd, pp_io_cb *cb);

/* Completes with 0 when pp_io_now_ns() has reached deadline_ns. */
void pp_io_timer(struct pp_io_loop *loop, struct pp_io_op *op, uint64_t deadline_ns, pp_io_cb *cb);

/* Completes with 0 after pp_io_wake() was called for op; wakes before the callback count as one.
 * Start it before others may wake it, and let it live until none can and the loop has taken one
 * more turn. */
void pp_io_wake_wait(struct pp_io_loop *loop, struct pp_io_op *op, pp_io_cb *cb);
void pp_io_wake(struct pp_io_loop *loop, struct pp_io_op *op);

/* Counts res into buf and len. True once nothing is left of the request. */
bool pp_io_advance(struct pp_io_op *op);

/* op completes with -ECANCELED, or with its own result where that came first. Nothing happens when
 * it is idle or done. */
void pp_io_cancel(struct pp_io_loop *loop, struct pp_io_op *op);

/* Gives back a buffer of pp_io_recv_pooled() or pp_io_recv_from(). */
void pp_io_buffer_put(struct pp_io_loop *loop, char *buf);

/* How many buffers such as op takes one owner may hold at a time and leave the others theirs: at
 * most so many, fewer when they run short, never none. */
uint32_t pp_io_recv_share(struct pp_io_loop *loop, const struct pp_io_op *op, uint32_t most);

/* ---- the loop ---------------------------------------------------------------------------- */

/* What the loop does while nothing has completed. Those that look do so, too, for the last 50 us
 * before a timer, however long they have slept: waking up would make it late. */
enum pp_io_wait {
    PP_IO_WAIT_BLOCK, /* sleep in the kernel */
    PP_IO_WAIT_SPIN,  /* look again and again for spin_ns, then sleep */
    PP_IO_WAIT_YIELD  /* as spin, giving the CPU away before each look; with a guard that falls
                         back to sleeping where a third thread holds the CPU for long */
};

#define PP_IO_SPIN_FOREVER UINT64_MAX

/* Descriptors from this number on, or from the limit on descriptors at the time when the loop was
 * opened, are refused with -EBADF: the engines' tables by descriptor end there. */
#define PP_IO_FDS_MAX (UINT32_C(1) << 20)

struct pp_io_options {
    const struct pp_io_world *world; /* NULL: the kernel's */
    const char *engine; /* "epoll", "io_uring", "io_uring:no-multishot": see pp_io_engine_list() */
    enum pp_io_wait wait;
    uint64_t spin_ns;
    uint32_t connections;   /* how many to be ready for: sizes rings and batches; more are served */
    uint32_t buffers;       /* how many small receive buffers; rounded up to a power of two */
    uint32_t buffer_bytes;  /* a multiple of 64 */
    uint32_t large_buffers; /* the same; 0: none, and small ones serve all */
    uint32_t large_buffer_bytes;
    uint32_t datagram_buffers; /* the same, for pp_io_recv_from() alone; 0: none */
    uint32_t datagram_bytes;   /* the longest datagram that fits; a multiple of 64 */
};

/* Counted from the opening of the loop. */
struct pp_io_stats {
    uint64_t syscalls; /* made by the loop and its engine */
    uint64_t turns;
    uint64_t starved;     /* receives that had to wait for a buffer */
    uint64_t overflows;   /* completion queue overflows (no completion is lost) */
    uint64_t guard_trips; /* times the yield guard fell back to sleeping */
    uint64_t idle_looks;  /* times that spinning or yielding found nothing to do */
};

/* What was counted between two readings. */
struct pp_io_stats pp_io_stats_between(const struct pp_io_stats *earlier,
                                       const struct pp_io_stats *later);

/* *out is the caller's, to be closed. -ENOSYS, -EPERM, -ENOMEM, ...: the engine cannot run here,
 * and err says why and what to do (kind PP_ERROR_UNAVAILABLE). May be called on another thread than
 * the one that will run the loop, and operations may be started before it runs. */
int pp_io_loop_open(struct pp_io_loop **out, const struct pp_io_options *options,
                    struct pp_error *err);

/* Operations still armed are dropped: their callbacks will not run. loop may be NULL. */
void pp_io_loop_close(struct pp_io_loop *loop);

/* Runs until no operation is armed. 0, or a negative errno when the engine itself failed. */
int pp_io_loop_run(struct pp_io_loop *loop);

/* What a loop begins with. */
struct pp_io_loop_head {
    const struct pp_io_world *world;
};

static inline const struct pp_io_world *pp_io_world_of(const struct pp_io_loop *loop)
{
    return ((const struct pp_io_loop_head *)(const void *)loop)->world;
}

/* The time by which the loop's timers are due; in the kernel's world, about 20 ns without a system
 * call. */
static inline uint64_t pp_io_now_ns(const struct pp_io_loop *loop)
{
    const struct pp_io_world *world = pp_io_world_of(loop);

    return __builtin_expect(!world->now_ns, 1) ? pp_clock_now_ns() : world->now_ns();
}

/* One turn: waits until something completes and runs the callbacks. */
int pp_io_loop_run_once(struct pp_io_loop *loop);

/* The same without waiting. */
int pp_io_loop_poll(struct pp_io_loop *loop);

/* Calls check after each callback from now on: whoever has state on the loop looks whether it still
 * holds together. NULL: no longer. Debug builds and tests do so. */
void pp_io_loop_check(struct pp_io_loop *loop, void (*check)(void *owner), void *owner);

/* May be called from any thread while the loop is open. */
struct pp_io_stats pp_io_loop_stats(const struct pp_io_loop *loop);

/* What one small receive buffer holds, in bytes: of a longer datagram only so many are known. */
uint32_t pp_io_loop_small_bytes(const struct pp_io_loop *loop);

/* How many receive buffers there are, of all classes. */
uint32_t pp_io_loop_buffers(const struct pp_io_loop *loop);

/* These bytes do not change as long as the process has a connection: an engine may send them
 * without copying them. Others are copied, or sent before their operation completes, but for
 * receive buffers, which an engine may keep a while when they are put back. On the loop's thread,
 * or before it runs. */
void pp_io_loop_constant(struct pp_io_loop *loop, const void *bytes, size_t size);

/* Whether a stream's receive waits for a buffer, or has had to since this was last asked. On the
 * loop's thread. */
bool pp_io_loop_has_starved(struct pp_io_loop *loop);

/* The engine's name and, after a colon, the features it was granted: "io_uring: multishot, ...".
 * Lives as long as the loop. */
const char *pp_io_loop_describe(const struct pp_io_loop *loop);

/* Whether the engine uses its feature with this number: see pp_io_engine_feature(). */
bool pp_io_loop_has_feature(const struct pp_io_loop *loop, unsigned number);

/* ---- threads ----------------------------------------------------------------------------- */

/* Takes the calling thread out of restartable sequences (rseq(2)), for which the C library
 * registers each thread: after each task switch the kernel writes to the memory of a thread that is
 * registered, which is 2 to 3 % of a round trip on one core. Nothing here uses them, and
 * sched_getcpu(3) goes on without. Threads that run a loop have left; others that are compared with
 * them leave by this. Where the thread is not registered, or the kernel keeps it, nothing changes.
 * Whether that took a system call. */
bool pp_io_leave_rseq(void);

/* ---- engines ----------------------------------------------------------------------------- */

#define PP_IO_ENGINES_MAX 16

/* The names of all engines, best first for a plan with this many connections, then NULL. */
void pp_io_engine_list(uint32_t connections, const char *names[PP_IO_ENGINES_MAX]);

/* Whether name (with its feature suffix, if any) names an engine that this program has. */
bool pp_io_engine_exists(const char *name);

/* The feature of the engine with this number; NULL behind the last one. "NAME:no-FEATURE" switches
 * it off, or if it is one to be opted in, "NAME:FEATURE" on. */
const char *pp_io_engine_feature(const char *name, unsigned number);
bool pp_io_engine_is_opt_in(const char *name, unsigned number);

/* A feature of an engine, here. */
struct pp_io_feature_facts {
    const char *name;
    bool opt_in;   /* it is used only where it is asked for */
    bool granted;  /* it is used then, or otherwise without being asked for */
    char why[320]; /* it is not, if the engine says; else "" */
};

#define PP_IO_FEATURES_MAX 12

/* An engine, here. */
struct pp_io_engine_facts {
    const char *name;
    struct pp_error error; /* why it cannot run, with code 0 if it can */
    char description[160]; /* as pp_io_loop_describe() has it */
    unsigned feature_count;
    struct pp_io_feature_facts features[PP_IO_FEATURES_MAX];
};

/* Finds them out by opening small loops on the engine called name, one with each feature that has
 * to be asked for. */
void pp_io_engine_examine(const char *name, struct pp_io_engine_facts *facts);

/* ---- work that blocks -------------------------------------------------------------------- */

/* A few threads for calls that would block a loop; they take no signals. A job completes on the
 * loop that asked, as operations do. */
struct pp_io_workers;
struct pp_io_job;

/* Runs on a worker thread. Its return value becomes op.res. */
typedef int pp_io_work(struct pp_io_job *job);

/* Embed it in the struct that owns it; do not move it until its callback has run. It cannot be
 * cancelled. */
struct pp_io_job {
    struct pp_io_op op;
    pp_io_work *work;
    pp_io_cb *cb;
    int result;
    struct pp_io_loop *loop;
    struct pp_io_job *next;
};

/* For loops of this world. */
int pp_io_workers_open(struct pp_io_workers **out, const struct pp_io_world *world,
                       unsigned threads, struct pp_error *err);

/* Waits for the jobs that were started. Their loops must still be open. */
void pp_io_workers_close(struct pp_io_workers *workers);

/* Instead of closing: waits for nobody. What jobs under way use, their loops and workers itself
 * stay as they are until the process ends. */
void pp_io_workers_abandon(struct pp_io_workers *workers);

/* cb runs on loop with &job->op, whose res is what work returned. */
void pp_io_work_start(struct pp_io_workers *workers, struct pp_io_loop *loop, struct pp_io_job *job,
                      pp_io_work *work, pp_io_cb *cb);

/* Looks up a host name, or an address as text ("fe80::1%eth0"), on a worker. At callback:
 * job.op.res is 0 and addr is filled in, or a negative errno and why says it in words: "it has no
 * IPv6 address". host must stay valid until then. */
struct pp_io_resolve {
    struct pp_io_job job;
    const char *host;
    uint16_t port;
    int family; /* AF_UNSPEC, AF_INET or AF_INET6; set it before starting */
    struct pp_io_addr addr;
    const char *why;
};

void pp_io_resolve_start(struct pp_io_workers *workers, struct pp_io_loop *loop,
                         struct pp_io_resolve *resolve, const char *host, uint16_t port,
                         pp_io_cb *cb);

#endif
