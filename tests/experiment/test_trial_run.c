/* One trial with a shell in the place of the program: what it prints is taken, and whatever else it
 * does is an error that says so. test_trial.c has the figures of what was taken. */
#include "experiment/trial.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

/* Against hanging. */
#define PATIENCE_NS (120 * PP_NS_PER_S)
#define LOOK_NS (20 * PP_NS_PER_MS)

#define PRINTS_ONE "printf '{\"format\": \"pingpong-result\", \"round_trips_per_s\": 9}'; "

/* The trial that spec has besides, of that command. */
static int run(struct pp_trial_spec spec, const char *command, json_t **result,
               struct pp_error *err)
{
    char shell[] = "/bin/sh", option[] = "-c", text[512];
    char *const argv[] = { shell, option, text, NULL };

    (void)snprintf(text, sizeof text, "%s", command);
    spec.argv = argv;
    if (spec.limit_ns == 0)
        spec.limit_ns = PATIENCE_NS;
    *err = (struct pp_error){ 0 };
    return pp_trial_run(&spec, result, err);
}

static void check_taken(struct pp_trial_spec spec, const char *command)
{
    struct pp_error err;
    json_t *result;

    assert_int_equal(run(spec, command, &result, &err), 0);
    assert_true(json_number_value(json_object_get(result, "round_trips_per_s")) == 9);
    json_decref(result);
}

/* No result comes of it, but a line that begins with says. */
static struct pp_error refused(struct pp_trial_spec spec, const char *command, int code,
                               const char *says)
{
    struct pp_error err;
    json_t *result;

    assert_int_equal(run(spec, command, &result, &err), code);
    assert_null(result);
    assert_int_equal(err.code, code);
    if (strncmp(err.text, says, strlen(says)) != 0)
        assert_string_equal(err.text, says);
    assert_null(strchr(err.text, '\n'));
    return err;
}

static const struct pp_trial_spec plain = { .limit_ns = PATIENCE_NS };

static void test_what_it_prints_is_its_result(void **state)
{
    (void)state;
    check_taken(plain, PRINTS_ONE);
    check_taken(plain, PRINTS_ONE "echo warning >&2");
}

static void test_who_keeps_its_output_is_not_waited_for(void **state)
{
    (void)state;
    check_taken(plain, PRINTS_ONE "sleep 1000 &");
}

static void test_what_is_no_json_is_refused(void **state)
{
    static const char none[] = "its run printed no result that can be read as JSON";
    static const char why[] = "its run printed no result that can be read as JSON: ";

    (void)state;
    assert_string_equal(refused(plain, "exit 0", -EBADMSG, none).text, none);
    (void)refused(plain, "printf '{\"format\": \"pingpong-res'", -EBADMSG, why);
    (void)refused(plain, "echo hello", -EBADMSG, why);
    (void)refused(plain, "printf '{\"a\\377\": 1}'", -EBADMSG, why);
    (void)refused(plain, PRINTS_ONE "echo more", -EBADMSG, why);
    (void)refused(plain, "echo '{\"a\": 1, \"a\": 2}'", -EBADMSG, why);
    (void)refused(plain, "echo '{\"a\": 1e999}'", -EBADMSG, why);
}

static void test_what_has_no_end_is_refused(void **state)
{
    (void)state;
    (void)refused(plain, "exec yes", -EFBIG, "its run printed more than 64 MiB");
}

static void test_one_that_does_not_end_is_ended(void **state)
{
    const struct pp_trial_spec hasty = { .limit_ns = LOOK_NS };

    (void)state;
    (void)refused(hasty, "sleep 1000", -ETIMEDOUT, "its run has not ended after 0 s");
}

static void test_how_it_failed_is_said_in_its_own_words(void **state)
{
    (void)state;
    assert_int_equal(refused(plain, PRINTS_ONE "exit 3", -EIO, "its run ended with status 3").kind,
                     PP_ERROR_RUN);
    assert_int_equal(refused(plain, "echo a >&2; echo pingpong: b >&2; exit 4", -EIO,
                             "its run ended with status 4: b")
                         .kind,
                     PP_ERROR_UNAVAILABLE);
    assert_int_equal(refused(plain, "exit 5", -EIO, "its run ended with status 5").kind,
                     PP_ERROR_WRONG_ECHO);
    assert_int_equal(refused(plain, "kill -KILL $$", -EIO, "its run was ended by signal 9").kind,
                     PP_ERROR_RUN);
}

static void test_a_server_that_ends_is_not_waited_for(void **state)
{
    const struct pp_trial_spec fails = { .server = "echo no {host} >&2; exit 3" };
    const struct pp_trial_spec leaves = { .server = "exit 0" };

    (void)state;
    (void)refused(fails, PRINTS_ONE, -EIO, "its server ended with status 3: no 127.0.0.1");
    (void)refused(leaves, PRINTS_ONE, -EIO, "its server ended with status 0");
}

static void test_commands_around_it_have_to_end_well(void **state)
{
    const struct pp_trial_spec both = { .before = "true", .after = "true" };
    const struct pp_trial_spec before = { .before = "echo no >&2; exit 2" };
    const struct pp_trial_spec after = { .after = "exit 2" };

    (void)state;
    check_taken(both, PRINTS_ONE);
    (void)refused(before, PRINTS_ONE, -EIO, "echo no >&2; exit 2 ended with status 2: no");
    (void)refused(after, PRINTS_ONE, -EIO, "exit 2 ended with status 2");
    (void)refused(after, "exit 7", -EIO, "its run ended with status 7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_prints_is_its_result),
        cmocka_unit_test(test_who_keeps_its_output_is_not_waited_for),
        cmocka_unit_test(test_what_is_no_json_is_refused),
        cmocka_unit_test(test_what_has_no_end_is_refused),
        cmocka_unit_test(test_one_that_does_not_end_is_ended),
        cmocka_unit_test(test_how_it_failed_is_said_in_its_own_words),
        cmocka_unit_test(test_a_server_that_ends_is_not_waited_for),
        cmocka_unit_test(test_commands_around_it_have_to_end_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
