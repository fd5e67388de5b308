/* A first-in, first-out list of operations, linked through op->next. Private to src/io. */
#ifndef PP_IO_QUEUE_H
#define PP_IO_QUEUE_H

#include "base/assert.h"
#include "io/io.h"

struct pp_io_queue {
    struct pp_io_op *head;
    struct pp_io_op *tail; /* valid when head is */
};

static inline void pp_io_queue_push(struct pp_io_queue *queue, struct pp_io_op *op)
{
    pp_assert(op->state != PP_IO_IDLE);
    op->next = NULL;
    if (queue->head)
        queue->tail->next = op;
    else
        queue->head = op;
    queue->tail = op;
}

static inline struct pp_io_op *pp_io_queue_pop(struct pp_io_queue *queue)
{
    struct pp_io_op *op = queue->head;

    if (!op)
        return NULL;
    pp_assert(op->next || op == queue->tail);
    queue->head = op->next;
    return op;
}

/* Whether op was in the queue. Linear: for the rare cases. */
bool pp_io_queue_remove(struct pp_io_queue *queue, struct pp_io_op *op);

#endif
