/* What an engine is, and all that one has to know: the hooks, what each must do, and what the loop
 * offers for it. One engine is one file, engines/engine_NAME.c, which ends with the const table
 * pp_io_engine_NAME; the build makes the list of engines from the names of the files, and every
 * test of the loop runs on each. Private to src/io.
 *
 * The loop starts operations, keeps timers, wakes and queues, and calls back. An engine finds out
 * when an operation has come to something. The shortest one passes each that is submitted to
 * pp_io_try() and pp_io_settle(), keeps those that have to wait, and tries them again when poll(2)
 * says that their descriptor is ready: tests/io/engine_poll.c.
 *
 * - Of the loop it may use fds_max, buffers, waiter.policy and engine_state, and it fills in
 *   description and granted.
 * - All hooks but open and close run on the loop's thread, which may be another than the one that
 *   opened it; operations may be submitted before the loop runs.
 * - No hook runs a callback, and none waits but poll.
 * - Several operations may be submitted for a descriptor: one that receives, accepts or watches,
 *   and one that sends or connects, or any number that send datagrams back.
 * - Each operation ends once, by pp_io_complete(): with what io.h promises for its kind, as far as
 *   the kernel gives it. Between being submitted and that, an engine may hand one to pp_io_starve()
 *   or pp_io_postpone(), unless it is being canceled, and gets it back by being submitted anew.
 * - No system call goes uncounted (pp_io_count_syscall()). */
#ifndef PP_IO_ENGINE_H
#define PP_IO_ENGINE_H

#include "io/loop.h"
#include "io/sender.h"

struct pp_io_engine {
    const char *name; /* as in --engine=NAME */

    /* auto tries the highest first: with a few connections, and with many. */
    struct {
        uint8_t few, many;
    } rank;

    /* Bit i of a set of features is features[i]. "NAME:no-FEATURE" leaves one out; those that are
     * opt_in, a set, are used only where "NAME:FEATURE" asks for them. */
    const char *features[PP_IO_FEATURES_MAX];
    uint32_t opt_in;

    /* Completions may outgrow a queue of the kernel's, which pp_io_stats.overflows counts. */
    bool can_overflow;

    size_t state_size; /* reserved behind the loop: engines have no globals */

    /* Readies the state, which is zeroed, and loop->description: the name, a colon, and what it was
     * granted; that is also the set loop->granted. Of the features that are wanted, those that are
     * missing here have a plain form, but for what is opt_in: somebody asked for that. A negative
     * errno with err set when this engine cannot run here, which is of kind PP_ERROR_UNAVAILABLE
     * where another could. Every resource is released again on failure. Memory comes from
     * base/memory.h, here and nowhere else. */
    int (*open)(struct pp_io_loop *loop, const struct pp_io_options *options, uint32_t wanted,
                struct pp_error *err);

    /* Releases all of it, and closes connections that are accepted and not passed on. Operations
     * that were submitted are dropped. */
    void (*close)(struct pp_io_loop *loop);

    /* Takes over an armed op (not a timer or a wake), whose descriptor is below fds_max, and passes
     * it to pp_io_complete() once, now or in a later poll. By the kind of op:
     *
     * accept      the next connection, with where it comes from in op->peer unless that is NULL.
     *             One that has gone already is passed over.
     * connect     to op->addr. A Unix listener without room is pp_io_postpone()'s.
     * recv        at most op->len bytes into op->buf.
     * recv_pooled into a buffer of pp_io_buffers_of(), taken when bytes have come; op->buf is then
     *             that buffer, which the owner gives back, and buffers->free one less. At the end
     *             of a stream, and with an error, there is none. Where all are taken, op is
     *             pp_io_starve()'s, and nothing is lost.
     * recv_from   the same for a datagram, empty ones too, behind its sender: op->buf points to the
     *             datagram, PP_IO_SENDER_BYTES into the buffer. What a socket tells of the address
     *             that was asked (pp_io_type_of()) stands with the sender: io/sender.h.
     * send        what goes out at once of op->len bytes from op->buf, or waits for room for at
     *             least one. No SIGPIPE. Its completion may be put off until another event while
     *             op->lazy is set, which the owner may clear.
     * send_back   the datagram, whole, to pp_io_sender(op->buf), from where that was sent to.
     * shutdown    of sending; what was sent on the descriptor before goes out first.
     * close       no other op is on the descriptor. What is known of it is forgotten, and what is
     *             held for it (buffers, connections) goes back: the number may be another's at
     *             once.
     * watch       0 when the descriptor has become readable; it reads nothing.
     *
     * A descriptor may be blocking. */
    void (*submit)(struct pp_io_loop *loop, struct pp_io_op *op);

    /* op was submitted and is not completed, starved or postponed: completes it with -ECANCELED, or
     * its own result where that came first, now or in a later poll. A receive that is canceled
     * loses nothing of what has come. */
    void (*cancel)(struct pp_io_loop *loop, struct pp_io_op *op);

    /* Passes what has completed to pp_io_complete(). Waits until something has, or until
     * deadline_ns of the monotonic clock; PP_IO_NO_WAIT and PP_IO_NO_DEADLINE are deadlines too.
     * Does not wait where pp_io_has_done(). May return early with nothing. A negative errno when
     * the engine is broken for good, and not for what passes, such as EINTR. */
    int (*poll)(struct pp_io_loop *loop, uint64_t deadline_ns);

    /* buf, one of these buffers, comes back: buffers->free is one more, in a later poll where the
     * kernel still sends from it. */
    void (*buffer_put)(struct pp_io_loop *loop, struct pp_io_buffers *buffers, char *buf);
};

#define PP_IO_NO_WAIT UINT64_C(0)
#define PP_IO_NO_DEADLINE UINT64_MAX

/* The engine that spec ("io_uring:no-multishot") names, with *wanted set to the features it is to
 * use; NULL with err set. */
const struct pp_io_engine *pp_io_engine_find(const char *spec, uint32_t *wanted,
                                             struct pp_error *err);

/* ---- what becomes of an operation ---------------------------------------------------------- */

/* op has completed with res: its callback will run. */
void pp_io_complete(struct pp_io_loop *loop, struct pp_io_op *op, int32_t res);

/* There is no buffer for op: it is submitted again when one comes back. */
void pp_io_starve(struct pp_io_loop *loop, struct pp_io_op *op);

/* No event will tell when op may succeed: it is submitted again a little later. */
void pp_io_postpone(struct pp_io_loop *loop, struct pp_io_op *op);

/* ---- kernel/plain.c: operations by plain system calls -------------------------------------- */

/* What op comes to by a system call that does not wait: its result, or -EAGAIN if it has to wait
 * for its descriptor, or -ENOBUFS for a buffer. */
int32_t pp_io_try(struct pp_io_loop *loop, struct pp_io_op *op);

/* Completes, postpones or starves op, which came to res. False if it has to be tried again when its
 * descriptor is ready: for pp_io_waits_for(op), a POLLIN or POLLOUT. */
bool pp_io_settle(struct pp_io_loop *loop, struct pp_io_op *op, int32_t res);

/* Whether no event says when op, to which the kernel has said EAGAIN, may succeed: another's Unix
 * socket has no room for a connection, or for a datagram. */
bool pp_io_is_unannounced(struct pp_io_loop *loop, const struct pp_io_op *op);

/* Asks whom fd is connected to, for an engine that has accepted it without: peer->len is 0 if it is
 * nobody any more. */
void pp_io_ask_peer(struct pp_io_loop *loop, int fd, struct pp_io_addr *peer);

/* What kind of socket fd is. The kernel is asked once, until fd is closed. */
enum pp_io_type pp_io_type_of(struct pp_io_loop *loop, int fd);

short pp_io_waits_for(const struct pp_io_op *op);

static inline bool pp_io_is_send(const struct pp_io_op *op)
{
    return op->kind == PP_IO_SEND || op->kind == PP_IO_SEND_BACK;
}

static inline bool pp_io_is_receive(const struct pp_io_op *op)
{
    return op->kind == PP_IO_RECV || op->kind == PP_IO_RECV_POOLED || op->kind == PP_IO_RECV_FROM;
}

#endif
