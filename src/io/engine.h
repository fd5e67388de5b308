/* What an engine is: one const table, in one file engines/engine_NAME.c. The build lists the files,
 * so that adding the file is all it takes. Private to src/io. */
#ifndef PP_IO_ENGINE_H
#define PP_IO_ENGINE_H

#include "io/io.h"

#define PP_IO_FEATURES_MAX 8

struct pp_io_buffers;

struct pp_io_engine {
    const char *name; /* as in --engine=NAME */

    /* auto tries the highest first: with a few connections, and with many. */
    struct {
        uint8_t few, many;
    } rank;

    /* What "NAME:no-FEATURE" can switch off; bit i of open's without is features[i]. */
    const char *features[PP_IO_FEATURES_MAX];

    /* Completions may outgrow a queue of the kernel's, which pp_io_stats.overflows counts. */
    bool can_overflow;

    size_t state_size; /* reserved behind the loop: engines have no globals */

    /* Readies the state, which is zeroed, and loop->description. A negative errno with err filled
     * in when this engine cannot run here. Every resource is released again on failure. */
    int (*open)(struct pp_io_loop *loop, const struct pp_io_options *options, uint32_t without,
                struct pp_error *err);
    void (*close)(struct pp_io_loop *loop);

    /* Takes over an armed op (not a timer or a wake) and passes it to pp_io_complete() once, now or
     * in a later poll. Runs no callback. */
    void (*submit)(struct pp_io_loop *loop, struct pp_io_op *op);

    /* op was submitted and is not completed: completes it with -ECANCELED or its own result, now or
     * in a later poll. */
    void (*cancel)(struct pp_io_loop *loop, struct pp_io_op *op);

    /* Passes what has completed to pp_io_complete(). Waits until something has, or until
     * deadline_ns; PP_IO_NO_WAIT and PP_IO_NO_DEADLINE are deadlines too. May return early with
     * nothing. A negative errno when the engine is broken for good. */
    int (*poll)(struct pp_io_loop *loop, uint64_t deadline_ns);

    /* One of these buffers comes back. */
    void (*buffer_put)(struct pp_io_loop *loop, struct pp_io_buffers *buffers, char *buf);
};

#define PP_IO_NO_WAIT UINT64_C(0)
#define PP_IO_NO_DEADLINE UINT64_MAX

/* The engine that spec ("io_uring:no-multishot") names, with *without set to the features it
 * switches off; NULL with err set. */
const struct pp_io_engine *pp_io_engine_find(const char *spec, uint32_t *without,
                                             struct pp_error *err);

#endif
