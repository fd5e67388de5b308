/* The list of engines, made by the build from the files engines/engine_*.c. */
#include "base/assert.h"
#include "base/container.h"
#include "io/engine.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define PP_IO_ENGINE(name) extern const struct pp_io_engine pp_io_engine_##name;
#include "io_engines.inc"
#undef PP_IO_ENGINE

#define PP_IO_ENGINE(name) &pp_io_engine_##name,
static const struct pp_io_engine *const engines[] = {
#include "io_engines.inc"
};
#undef PP_IO_ENGINE

#define ENGINE_COUNT (COUNT_OF(engines))

/* A connection count up to which plain system calls are faster than batches of them. */
#define FEW_CONNECTIONS 1

static const struct pp_io_engine *engine_of(const char *spec)
{
    const size_t name_bytes = strcspn(spec, ":");

    for (size_t i = 0; i < ENGINE_COUNT; i++)
        if (strlen(engines[i]->name) == name_bytes &&
            memcmp(engines[i]->name, spec, name_bytes) == 0)
            return engines[i];
    return NULL;
}

bool pp_io_engine_exists(const char *name)
{
    uint32_t wanted;

    return pp_io_engine_find(name, &wanted, NULL) != NULL;
}

const char *pp_io_engine_feature(const char *name, unsigned number)
{
    const struct pp_io_engine *engine = engine_of(name);

    return engine && number < PP_IO_FEATURES_MAX ? engine->features[number] : NULL;
}

bool pp_io_engine_is_opt_in(const char *name, unsigned number)
{
    const struct pp_io_engine *engine = engine_of(name);

    return engine && number < PP_IO_FEATURES_MAX && engine->opt_in >> number & 1;
}

static unsigned rank_of(const struct pp_io_engine *engine, bool few)
{
    return few ? engine->rank.few : engine->rank.many;
}

/* An insertion sort: there are a handful of engines. */
void pp_io_engine_list(uint32_t connections, const char *names[PP_IO_ENGINES_MAX])
{
    const bool few = connections <= FEW_CONNECTIONS;
    const struct pp_io_engine *sorted[ENGINE_COUNT];

    static_assert(ENGINE_COUNT < PP_IO_ENGINES_MAX, "room for all engines and the NULL");
    for (size_t i = 0; i < ENGINE_COUNT; i++) {
        size_t at = i;

        for (; at > 0 && rank_of(sorted[at - 1], few) < rank_of(engines[i], few); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = engines[i];
    }
    for (size_t i = 0; i < ENGINE_COUNT; i++)
        names[i] = sorted[i]->name;
    pp_assert(rank_of(sorted[0], few) >= rank_of(sorted[ENGINE_COUNT - 1], few));
    names[ENGINE_COUNT] = NULL;
}

/* The bit of the feature named by the bytes at name; 0 if the engine has none of that name. */
static uint32_t feature_bit(const struct pp_io_engine *engine, const char *name, size_t bytes)
{
    for (unsigned i = 0; i < PP_IO_FEATURES_MAX && engine->features[i]; i++)
        if (strlen(engine->features[i]) == bytes && memcmp(engine->features[i], name, bytes) == 0)
            return UINT32_C(1) << i;
    return 0;
}

/* All that it has and that nobody has to ask for. */
static uint32_t usual_features(const struct pp_io_engine *engine)
{
    uint32_t features = 0;

    for (unsigned i = 0; i < PP_IO_FEATURES_MAX && engine->features[i]; i++)
        features |= UINT32_C(1) << i;
    return features & ~engine->opt_in;
}

static int refuse_feature(const struct pp_io_engine *engine, const char *text, int bytes,
                          struct pp_error *err)
{
    const char *name = engine->name;

    if (engine->opt_in)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "engine %s cannot do \"%.*s\"; a feature is switched off by "
                            "%s:no-FEATURE, and one that is off by itself on by %s:FEATURE",
                            name, bytes, text, name, name);
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                        "engine %s cannot do \"%.*s\"; a feature is switched off by "
                        "%s:no-FEATURE",
                        name, bytes, text, name);
}

/* Reads "no-multishot,sqpoll". */
static int parse_features(const struct pp_io_engine *engine, const char *text, uint32_t *wanted,
                          struct pp_error *err)
{
    for (;;) {
        const size_t bytes = strcspn(text, ",");
        const bool is_off = bytes > 3 && memcmp(text, "no-", 3) == 0;
        const uint32_t bit = is_off ? feature_bit(engine, text + 3, bytes - 3) & ~engine->opt_in
                                    : feature_bit(engine, text, bytes) & engine->opt_in;

        pp_assert(text[bytes] == ',' || text[bytes] == '\0');
        if (!bit)
            return refuse_feature(engine, text, (int)bytes, err);
        *wanted = is_off ? *wanted & ~bit : *wanted | bit;
        text += bytes;
        if (!*text)
            return 0;
        text++;
    }
}

const struct pp_io_engine *pp_io_engine_find(const char *spec, uint32_t *wanted,
                                             struct pp_error *err)
{
    const struct pp_io_engine *engine = engine_of(spec);
    const char *features = strchr(spec, ':');

    *wanted = 0;
    if (!engine) {
        (void)pp_error_set(err, PP_ERROR_USAGE, -EINVAL, "there is no engine \"%s\"", spec);
        return NULL;
    }
    pp_assert(engine->open && engine->close && engine->submit && engine->cancel && engine->poll &&
              engine->buffer_put);
    *wanted = usual_features(engine);
    if (features && parse_features(engine, features + 1, wanted, err) < 0)
        return NULL;
    return engine;
}
