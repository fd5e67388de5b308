/* What is said of an engine is what its loops are granted. */
#include "support.h"

#include <stdio.h>

static struct pp_io_engine_facts *examined(struct fixture *f)
{
    struct pp_io_engine_facts *facts = test_new(f, sizeof *facts);
    char *name = test_new(f, 64);

    (void)snprintf(name, 64, "%.*s", (int)strcspn(test_engine(), ":"), test_engine());
    pp_io_engine_examine(name, facts);
    return facts;
}

/* NULL where it cannot be had. */
static struct pp_io_loop *loop_with(struct fixture *f, const char *name, const char *before,
                                    const char *feature)
{
    char spec[80];
    const struct pp_io_options options = {
        .engine = spec, .connections = 1, .buffers = 16, .buffer_bytes = 256
    };
    struct pp_io_loop *loop = NULL;
    struct pp_error err = { 0 };

    (void)snprintf(spec, sizeof spec, "%.32s:%s%.32s", name, before, feature);
    (void)pp_io_loop_open(&loop, &options, &err);
    if (!loop)
        assert_int_equal(err.kind, PP_ERROR_UNAVAILABLE);
    f->loops[0] = loop;
    return loop;
}

static void an_engine_that_runs_is_described_as_its_loops_are(void **state)
{
    struct fixture *f = *state;
    const struct pp_io_engine_facts *facts = examined(f);
    struct pp_io_loop *loop = test_loop_with(f, (struct pp_io_options){ .engine = facts->name });

    assert_int_equal(facts->error.code, 0);
    assert_string_equal(facts->description, pp_io_loop_describe(loop));
    for (unsigned i = 0; i < facts->feature_count; i++) {
        assert_string_equal(facts->features[i].name, pp_io_engine_feature(facts->name, i));
        assert_int_equal(facts->features[i].opt_in, pp_io_engine_is_opt_in(facts->name, i));
        assert_int_equal(facts->features[i].granted && !facts->features[i].opt_in,
                         pp_io_loop_has_feature(loop, i));
    }
    assert_null(pp_io_engine_feature(facts->name, facts->feature_count));
}

static void what_is_switched_off_is_not_granted(void **state)
{
    struct fixture *f = *state;
    const struct pp_io_engine_facts *facts = examined(f);

    for (unsigned i = 0; i < facts->feature_count; i++) {
        struct pp_io_loop *loop;

        if (facts->features[i].opt_in)
            continue;
        loop = loop_with(f, facts->name, "no-", facts->features[i].name);
        assert_non_null(loop);
        assert_false(pp_io_loop_has_feature(loop, i));
        test_loop_close(f, loop);
    }
}

/* And where it is refused, in the words that were found out. */
static void what_is_asked_for_is_granted_or_refused(void **state)
{
    struct fixture *f = *state;
    const struct pp_io_engine_facts *facts = examined(f);

    for (unsigned i = 0; i < facts->feature_count; i++) {
        const struct pp_io_feature_facts *feature = &facts->features[i];
        struct pp_io_loop *loop;

        if (!feature->opt_in)
            continue;
        loop = loop_with(f, facts->name, "", feature->name);
        assert_int_equal(loop != NULL, feature->granted);
        assert_int_equal(feature->why[0] == '\0', feature->granted);
        if (!loop)
            continue;
        assert_true(pp_io_loop_has_feature(loop, i));
        test_loop_close(f, loop);
    }
}

static void a_feature_has_one_way_to_be_named(void **state)
{
    struct fixture *f = *state;
    const struct pp_io_engine_facts *facts = examined(f);
    char spec[80];

    for (unsigned i = 0; i < facts->feature_count; i++) {
        const struct pp_io_feature_facts *feature = &facts->features[i];

        (void)snprintf(spec, sizeof spec, "%s:%s", facts->name, feature->name);
        assert_int_equal(pp_io_engine_exists(spec), feature->opt_in);
        (void)snprintf(spec, sizeof spec, "%s:no-%s", facts->name, feature->name);
        assert_int_equal(pp_io_engine_exists(spec), !feature->opt_in);
    }
    (void)snprintf(spec, sizeof spec, "%s:no-", facts->name);
    assert_false(pp_io_engine_exists(spec));
}

static void an_engine_that_there_is_not_cannot_run(void **state)
{
    struct pp_io_engine_facts facts;

    (void)state;
    pp_io_engine_examine("nothing", &facts);
    assert_int_equal(facts.error.code, -EINVAL);
    assert_int_equal(facts.feature_count, 0);
    assert_string_equal(facts.description, "");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_engine_that_runs_is_described_as_its_loops_are),
        TEST(what_is_switched_off_is_not_granted),
        TEST(what_is_asked_for_is_granted_or_refused),
        TEST(a_feature_has_one_way_to_be_named),
        TEST(an_engine_that_there_is_not_cannot_run),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
