/* What an engine can do here, found out by opening loops on it that never run. */
#include "base/assert.h"
#include "io/io.h"

#include <stdio.h>
#include <string.h>

/* As small as a loop may be. */
static struct pp_io_loop *open_small(const char *spec, struct pp_error *err)
{
    const struct pp_io_options options = {
        .engine = spec, .connections = 1, .buffers = 16, .buffer_bytes = 256
    };
    struct pp_io_loop *loop = NULL;

    return pp_io_loop_open(&loop, &options, err) == 0 ? loop : NULL;
}

/* An engine that cannot run has said why already. */
static void ask_for(const struct pp_io_engine_facts *facts, unsigned number,
                    struct pp_io_feature_facts *feature)
{
    struct pp_error err = { 0 };
    struct pp_io_loop *loop;
    char spec[64];

    if (facts->error.code)
        return;
    (void)snprintf(spec, sizeof spec, "%s:%s", facts->name, feature->name);
    loop = open_small(spec, &err);
    feature->granted = loop && pp_io_loop_has_feature(loop, number);
    pp_assert(!loop || feature->granted);
    (void)snprintf(feature->why, sizeof feature->why, "%s", err.text);
    pp_io_loop_close(loop);
}

void pp_io_engine_examine(const char *name, struct pp_io_engine_facts *facts)
{
    struct pp_io_loop *loop;
    const char *feature;

    *facts = (struct pp_io_engine_facts){ .name = name };
    loop = open_small(name, &facts->error);
    if (loop)
        (void)snprintf(facts->description, sizeof facts->description, "%s",
                       pp_io_loop_describe(loop));
    for (unsigned i = 0; (feature = pp_io_engine_feature(name, i)); i++) {
        struct pp_io_feature_facts *of = &facts->features[facts->feature_count++];

        of->name = feature;
        of->opt_in = pp_io_engine_is_opt_in(name, i);
        of->granted = loop && pp_io_loop_has_feature(loop, i);
        if (of->opt_in)
            ask_for(facts, i, of);
    }
    pp_io_loop_close(loop);
}
