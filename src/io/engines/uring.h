/* What the files of the io_uring engine share. Private to them. */
#ifndef PP_IO_ENGINES_URING_H
#define PP_IO_ENGINES_URING_H

#include "base/assert.h"
#include "io/engine.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>

enum pp_uring_feature {
    PP_URING_MULTISHOT,
    PP_URING_BUFFER_RING,
    PP_URING_DEFER,
    PP_URING_SKIP,
    PP_URING_FIXED,
    PP_URING_SQPOLL, /* from here on: used only where it is asked for */
    PP_URING_MIN_WAIT,
    PP_URING_NAPI,
    PP_URING_BUNDLE,
    PP_URING_SEND_ZC,
    PP_URING_FEATURES
};

#define PP_URING_OPT_IN ((1u << PP_URING_FEATURES) - (1u << PP_URING_SQPOLL))

/* The low bits of a completion's user_data. Operations are aligned to 8. */
enum pp_uring_tag {
    PP_URING_TAG_OP,     /* an operation's own result, which never has to wait */
    PP_URING_TAG_SEND,   /* a send with skip: only failures arrive */
    PP_URING_TAG_POLLED, /* its descriptor is ready: try the operation again */
    PP_URING_TAG_EDGE,   /* its descriptor has changed, once more: see edges_begin() */
    PP_URING_TAG_RECV,   /* of a multishot receive: descriptor and generation, and no pointer */
    PP_URING_TAG_ACCEPT, /* of a multishot accept: the same */
    PP_URING_TAG_LENT,   /* a zero-copy send, or its notification: the number of a loan */
    PP_URING_TAG_RING    /* the ring's own, PP_URING_TIMER or PP_URING_IGNORED */
};

#define PP_URING_TAG_BITS 3
#define PP_URING_TAG_MASK ((1 << PP_URING_TAG_BITS) - 1)

static_assert(PP_URING_TAG_RING <= PP_URING_TAG_MASK, "a tag has three bits");

#define PP_URING_TIMER ((uint64_t)PP_URING_TAG_RING)
#define PP_URING_IGNORED ((uint64_t)PP_URING_TAG_RING | 1 << PP_URING_TAG_BITS)

enum pp_uring_life { PP_URING_NONE, PP_URING_LIVE, PP_URING_ENDING };

/* What is known of one descriptor. A held result is a buffer, or an accepted connection; held and
 * held_last are its number plus one, so that a zeroed table is an empty one. Buffers are numbered
 * through, one class after the other. */
struct pp_uring_slot {
    struct pp_io_op *op; /* the receive or accept that waits for the next result */
    uint32_t held, held_last;
    uint32_t held_next; /* for an accepted connection that is held: the one after it */
    uint32_t held_count;
    uint8_t multishot;  /* enum pp_uring_life */
    uint8_t generation; /* of the descriptor, so that late results of a closed one are known */
    uint8_t kind;       /* enum pp_io_kind, of all that op ever was */
    bool ended : 1;     /* end_res is the stream's end, still to be delivered */
    bool copies : 1;    /* sends cannot do without */
    int16_t end_res;
    uint8_t class; /* enum pp_io_class: the buffers that the multishot request fills */
    uint8_t sends; /* so far; or PP_URING_SENDS_FIXED, PP_URING_SENDS_PLAIN */
};

/* A descriptor that is sent on so often is registered with the ring, which saves the kernel looking
 * its file up for each request. One that is not worth that, as a connection for each round trip,
 * never gets there. */
#define PP_URING_SENDS_MANY 64
#define PP_URING_SENDS_FIXED 254 /* it is registered, under its own number */
#define PP_URING_SENDS_PLAIN 255 /* it cannot be */

static_assert(sizeof(struct pp_uring_slot) == 32, "an idle connection costs a slot: keep it small");

static_assert(sizeof(struct io_uring_recvmsg_out) == offsetof(struct pp_io_sender, any) &&
                  offsetof(struct io_uring_recvmsg_out, namelen) ==
                      offsetof(struct pp_io_sender, len),
              "a sender stands in its buffer as the kernel writes it");
static_assert(offsetof(struct io_uring_recvmsg_out, controllen) ==
                      offsetof(struct pp_io_sender, control_len) &&
                  offsetof(struct pp_io_sender, told.control) ==
                      offsetof(struct pp_io_sender, any) + PP_IO_TOLD_NAME_BYTES,
              "and so does what the socket tells");

/* Of a receive buffer, by number. */
struct pp_uring_held {
    uint32_t bytes; /* what was received into it */
    uint32_t next;
    uint16_t place; /* in its ring of buffers, when it was last put there */
    uint16_t loans; /* zero-copy sends that the kernel has not given back */
    bool put;       /* its owner has, meanwhile */
};

/* What the kernel sends from without having copied it. */
struct pp_uring_loan {
    struct pp_io_op *op; /* the send; NULL once that is known */
    uint32_t buffer;     /* its number, or PP_URING_NO_BUFFER: what is constant */
    uint32_t next;       /* of those that are free: the one after it, plus one */
};

#define PP_URING_NO_BUFFER UINT32_MAX

/* The engine's state. */
struct pp_uring {
    struct io_uring ring;
    struct io_uring_buf_ring *buf_rings[PP_IO_CLASSES]; /* NULL: the loop's pool has them */
    struct pp_uring_held *held_buffers;                 /* by buffer number */
    struct msghdr sender_only;   /* what a multishot recvmsg is to write besides the datagram */
    struct msghdr told;          /* the same, for a socket that tells */
    struct pp_uring_slot *slots; /* by descriptor */
    uint32_t slots_used;         /* the highest that was, plus one */
    bool has[PP_URING_FEATURES];
    bool plain_sends;            /* try send(2) first, while completions come few at a time */
    unsigned batch;              /* how many completions came last */
    bool sends_to;               /* IORING_OP_SEND takes an address */
    uint32_t files;              /* descriptors below this may be registered */
    struct pp_uring_loan *loans; /* for zero-copy sends, or NULL */
    uint32_t loans_free;         /* one of them plus one, or 0 */
    bool ring_enabled;
    int error; /* the ring has broken down; a negative errno */
    struct io_uring_sqe nowhere;
    struct pp_io_queue early; /* started before the loop runs, beyond what the queue holds */
    struct pp_io_queue sends; /* with skip, not yet known to have gone out */
    struct pp_io_queue ends;  /* to be shut down after what was queued before */
    uint64_t timer_ns;        /* the deadline the kernel knows, or PP_IO_NO_DEADLINE */
    struct __kernel_timespec timer_at;
};

static inline struct pp_uring *pp_uring_of(struct pp_io_loop *loop)
{
    return (struct pp_uring *)(void *)loop->engine_state;
}

/* ---- uring_ring.c: the ring, and requests to it -------------------------------------------- */

/* The best set-up with what is wanted that the kernel takes, with st->has telling what it is. A
 * negative errno. */
int pp_uring_set_up(struct pp_uring *st, const struct pp_io_options *options, uint32_t wanted);

/* What requests the kernel knows, into st->has, too. -ENOSYS where one is missing that has no plain
 * form. */
int pp_uring_probe(struct pp_uring *st);

/* Sets err to why the kernel refused a ring with ret, and what to do. Returns ret. */
int pp_uring_refused(struct pp_error *err, int ret);

/* Makes room for registered descriptors, as many as may be worth it. */
void pp_uring_files_open(struct pp_io_loop *loop, const struct pp_io_options *options);

/* Registers fd, or forgets it before it is closed. */
void pp_uring_file_register(struct pp_io_loop *loop, int fd);
void pp_uring_file_forget(struct pp_io_loop *loop, int fd);

/* This thread is the one that submits from now on. 0 or a negative errno. */
int pp_uring_enable(struct pp_io_loop *loop);

/* An error of enter after which the same call may succeed; nothing is lost meanwhile. */
static inline bool pp_uring_is_passing(int error)
{
    return error == EINTR || error == EAGAIN || error == EBUSY;
}

/* The same when the queue is full. */
struct io_uring_sqe *pp_uring_sqe_flushed(struct pp_io_loop *loop);

/* A place for a request, never NULL. Once the ring has broken down, what is put there goes nowhere,
 * and the next poll says so. */
static inline struct io_uring_sqe *pp_uring_sqe(struct pp_io_loop *loop)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&pp_uring_of(loop)->ring);

    return sqe ? sqe : pp_uring_sqe_flushed(loop);
}

static inline void pp_uring_tag(struct io_uring_sqe *sqe, const struct pp_io_op *op,
                                enum pp_uring_tag tag)
{
    pp_assert(((uintptr_t)op & PP_URING_TAG_MASK) == 0);
    sqe->user_data = (uint64_t)(uintptr_t)op | tag;
}

/* Ends the request with this user_data, if the kernel still has it. */
void pp_uring_cancel_data(struct pp_io_loop *loop, uint64_t user_data);

/* Tries op again when its descriptor is ready. */
void pp_uring_poll_first(struct pp_io_loop *loop, struct pp_io_op *op);

/* What becomes of op, which came to res by a system call, or by a request that did not wait. */
void pp_uring_settle(struct pp_io_loop *loop, struct pp_io_op *op, int32_t res);

/* Takes note of the features among wanted that have to be asked for, as far as they are the ring's.
 * A negative errno with err set where one is missing. */
int pp_uring_ask(struct pp_uring *st, uint32_t wanted, struct pp_error *err);

/* ---- uring_enter.c: handing requests over, and waiting --------------------------------------- */

/* The thread that polls the queue works for this one from now on. */
void pp_uring_poller_adopt(struct pp_io_loop *loop);

/* Before memory goes that the polling thread may still look at or write to. */
void pp_uring_poller_end(struct pp_io_loop *loop);

/* Hands the queue over, and lets the kernel complete what it can. A negative errno. */
int pp_uring_look(struct pp_io_loop *loop);

/* The same, and waits for a completion. */
int pp_uring_wait(struct pp_io_loop *loop);

/* Waits for room in the queue, which the kernel takes from by itself. */
void pp_uring_wait_for_room(struct pp_io_loop *loop);

/* ---- uring_buffers.c: receive buffers, the kernel's where it takes them --------------------- */

/* Hands the buffers to the kernel, for multishot requests. Where it knows no such rings, they stay
 * in the loop's pools. A negative errno, with err set, is an end of opening. */
int pp_uring_buffers_lend(struct pp_io_loop *loop, struct pp_error *err);
void pp_uring_buffers_unmap(struct pp_io_loop *loop);

/* The number of the buffer that the kernel has filled, which is not free any more. */
uint32_t pp_uring_buffer_taken(struct pp_io_loop *loop, enum pp_io_class class,
                               const struct io_uring_cqe *cqe);
char *pp_uring_buffer_at(struct pp_io_loop *loop, uint32_t number);
void pp_uring_buffer_put(struct pp_io_loop *loop, struct pp_io_buffers *buffers, char *buf);
void pp_uring_buffer_put_number(struct pp_io_loop *loop, uint32_t number);

/* The number of buf, of these buffers, and of the one that stands behind number in their ring. */
uint32_t pp_uring_buffer_number(struct pp_io_loop *loop, const struct pp_io_buffers *buffers,
                                const char *buf);
uint32_t pp_uring_buffer_behind(struct pp_io_loop *loop, enum pp_io_class class, uint32_t number);

/* ---- uring_multishot.c: requests that the kernel goes on with ------------------------------- */

/* op asks for the next result of its descriptor. */
void pp_uring_multishot_ask(struct pp_io_loop *loop, struct pp_io_op *op);
void pp_uring_multishot_stop(struct pp_io_loop *loop, int fd, struct pp_uring_slot *slot);
void pp_uring_on_multishot(struct pp_io_loop *loop, const struct io_uring_cqe *cqe);

/* Gives up what is held for a descriptor that is about to be closed. */
void pp_uring_drop_held(struct pp_io_loop *loop, struct pp_uring_slot *slot);

/* ---- uring_sends.c -------------------------------------------------------------------------- */

void pp_uring_send_submit(struct pp_io_loop *loop, struct pp_io_op *op);

/* Through the ring, with a completion in any case. */
void pp_uring_send_announced(struct pp_io_loop *loop, struct pp_io_op *op);

/* A poll for room has ended with these events. */
void pp_uring_on_send_polled(struct pp_io_loop *loop, struct pp_io_op *op, int32_t events);
void pp_uring_on_edge(struct pp_io_loop *loop, struct pp_io_op *op, const struct io_uring_cqe *cqe);

/* Puts failures among the next count completions down in their sends; and then, where all that was
 * submitted has been tried, completes all sends. */
void pp_uring_note_failed_sends(struct pp_uring *st, unsigned count);
void pp_uring_settle_sends(struct pp_io_loop *loop);

/* Whether a send is under way whose owner wants to hear of it without delay. */
bool pp_uring_has_eager_send(const struct pp_uring *st);

/* ---- uring_lent.c: zero-copy sends ---------------------------------------------------------- */

/* 0 or -ENOMEM, with err set. */
int pp_uring_loans_open(struct pp_uring *st, struct pp_error *err);

/* Sends op without copying what it sends. False: it is not worth that, or cannot be. */
bool pp_uring_lend(struct pp_io_loop *loop, struct pp_io_op *op);
void pp_uring_on_lent(struct pp_io_loop *loop, const struct io_uring_cqe *cqe);

/* Whether the kernel still sends from a buffer that its owner puts back: it is put then. */
bool pp_uring_is_lent(struct pp_io_loop *loop, uint32_t number);

#endif
