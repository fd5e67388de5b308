/* Receive buffers: numbered through, and handed to the kernel where it takes them. */
#include "base/assert.h"
#include "io/engines/uring.h"

#include <sys/mman.h>

/* The class of the buffer with this number; its place there is then in number. */
static struct pp_io_buffers *buffers_with(struct pp_io_loop *loop, uint32_t *number)
{
    struct pp_io_buffers *buffers = loop->buffers;

    while (*number >= buffers->pool.capacity) {
        *number -= buffers++->pool.capacity;
        pp_assert(buffers < loop->buffers + PP_IO_CLASSES);
    }
    return buffers;
}

char *pp_uring_buffer_at(struct pp_io_loop *loop, uint32_t number)
{
    const struct pp_io_buffers *buffers = buffers_with(loop, &number);

    return pp_pool_at(&buffers->pool, number);
}

uint32_t pp_uring_buffer_taken(struct pp_io_loop *loop, enum pp_io_class class,
                               const struct io_uring_cqe *cqe)
{
    uint32_t number = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    pp_assert(pp_uring_of(loop)->buf_rings[class] && loop->buffers[class].free > 0);
    loop->buffers[class].free--;
    for (unsigned i = 0; i < class; i++)
        number += loop->buffers[i].pool.capacity;
    return number;
}

uint32_t pp_uring_buffer_number(struct pp_io_loop *loop, const struct pp_io_buffers *buffers,
                                const char *buf)
{
    uint32_t number = (uint32_t)((size_t)(buf - buffers->pool.items) / buffers->pool.item_bytes);

    pp_assert(buf >= buffers->pool.items && number < buffers->pool.capacity);
    for (const struct pp_io_buffers *at = loop->buffers; at < buffers; at++)
        number += at->pool.capacity;
    return number;
}

/* The kernel takes them in the order in which they stand in the ring. What stands there is not
 * overwritten before number itself has been put again. */
uint32_t pp_uring_buffer_behind(struct pp_io_loop *loop, enum pp_io_class class, uint32_t number)
{
    const struct pp_uring *st = pp_uring_of(loop);
    const struct pp_io_buffers *buffers = &loop->buffers[class];
    const uint32_t mask = (uint32_t)io_uring_buf_ring_mask(buffers->pool.capacity);
    const uint32_t place = (st->held_buffers[number].place + 1u) & mask;

    return pp_uring_buffer_number(
        loop, buffers, pp_pool_at(&buffers->pool, st->buf_rings[class]->bufs[place].bid));
}

static bool is_out(struct pp_io_loop *loop, const struct pp_io_buffers *buffers, const char *buf)
{
    return pp_uring_of(loop)->loans &&
           pp_uring_is_lent(loop, pp_uring_buffer_number(loop, buffers, buf));
}

void pp_uring_buffer_put(struct pp_io_loop *loop, struct pp_io_buffers *buffers, char *buf)
{
    struct pp_uring *st = pp_uring_of(loop);
    struct io_uring_buf_ring *ring = st->buf_rings[buffers - loop->buffers];
    const struct pp_pool *pool = &buffers->pool;

    pp_assert(pp_pool_owns(pool, buf) && buffers->free < pool->capacity);
    if (is_out(loop, buffers, buf))
        return;
    buffers->free++;
    if (!ring) {
        pp_pool_give(&buffers->pool, buf);
        return;
    }
    if (st->has[PP_URING_BUNDLE])
        st->held_buffers[pp_uring_buffer_number(loop, buffers, buf)].place =
            (uint16_t)(ring->tail & io_uring_buf_ring_mask(pool->capacity));
    io_uring_buf_ring_add(ring, buf, (unsigned)pool->item_bytes,
                          (unsigned short)((size_t)(buf - pool->items) / pool->item_bytes),
                          io_uring_buf_ring_mask(pool->capacity), 0);
    io_uring_buf_ring_advance(ring, 1);
}

void pp_uring_buffer_put_number(struct pp_io_loop *loop, uint32_t number)
{
    struct pp_io_buffers *buffers = buffers_with(loop, &number);

    pp_uring_buffer_put(loop, buffers, pp_pool_at(&buffers->pool, number));
}

/* ---- handing them to the kernel ---- */

static size_t buf_ring_bytes(uint32_t count)
{
    return count * sizeof(struct io_uring_buf);
}

static void buf_ring_unmap(struct pp_io_loop *loop, enum pp_io_class class)
{
    struct pp_uring *st = pp_uring_of(loop);

    if (st->buf_rings[class])
        (void)munmap(st->buf_rings[class], buf_ring_bytes(loop->buffers[class].pool.capacity));
    st->buf_rings[class] = NULL;
}

/* 0, or a negative errno: of those that end the set-up, -ENOMEM, err is set. */
static int buf_ring_setup(struct pp_io_loop *loop, enum pp_io_class class, struct pp_error *err)
{
    struct pp_uring *st = pp_uring_of(loop);
    const uint32_t count = loop->buffers[class].pool.capacity;
    struct io_uring_buf_reg reg = { .ring_entries = count, .bgid = (uint16_t) class };
    struct io_uring_buf_ring *buf_ring;
    int ret;

    pp_assert(!st->buf_rings[class] && count > 0);
    if (count > 32768)
        return -EINVAL;
    buf_ring = mmap(NULL, buf_ring_bytes(count), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* the kernel wants whole pages */
    if (buf_ring == MAP_FAILED)
        return pp_error_set(err, PP_ERROR_RUN, -errno, "no memory for a ring of buffers");
    reg.ring_addr = (uint64_t)(uintptr_t)buf_ring;
    io_uring_buf_ring_init(buf_ring);
    ret = io_uring_register_buf_ring(&st->ring, &reg, 0);
    if (ret < 0) {
        (void)munmap(buf_ring, buf_ring_bytes(count));
        return ret == -ENOMEM ? pp_uring_refused(err, ret) : ret;
    }
    st->buf_rings[class] = buf_ring;
    return 0;
}

static void buf_ring_fill(struct pp_io_loop *loop, struct pp_io_buffers *buffers)
{
    pp_assert(buffers->pool.in_use == 0);
    buffers->free = 0;
    for (uint32_t i = 0; i < buffers->pool.capacity; i++)
        pp_uring_buffer_put(loop, buffers, pp_pool_take(&buffers->pool));
    pp_assert(buffers->free == buffers->pool.capacity);
}

/* It is all classes or none, or a descriptor could not change over from one to another. -ENOMEM is
 * an error: of the loops of a side one would have them and another not. */
int pp_uring_buffers_lend(struct pp_io_loop *loop, struct pp_error *err)
{
    unsigned class;
    int ret;

    for (class = 0; class < PP_IO_CLASSES; class ++) {
        if (loop->buffers[class].pool.capacity == 0)
            continue;
        ret = buf_ring_setup(loop, (enum pp_io_class) class, err);
        if (ret < 0)
            goto undo;
    }
    for (class = 0; class < PP_IO_CLASSES; class ++)
        if (loop->buffers[class].pool.capacity > 0)
            buf_ring_fill(loop, &loop->buffers[class]);
    return 0;

undo:
    while (class -- > 0) {
        if (!pp_uring_of(loop)->buf_rings[class])
            continue;
        (void)io_uring_unregister_buf_ring(&pp_uring_of(loop)->ring, (int)class);
        buf_ring_unmap(loop, (enum pp_io_class) class);
    }
    return ret == -ENOMEM ? ret : 0;
}

void pp_uring_buffers_unmap(struct pp_io_loop *loop)
{
    for (unsigned i = 0; i < PP_IO_CLASSES; i++)
        buf_ring_unmap(loop, (enum pp_io_class)i);
}
