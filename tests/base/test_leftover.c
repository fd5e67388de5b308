#include "base/leftover.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h> /* needs the headers above */

/* A folder of its own for each test, and a descriptor of it. */
struct fixture {
    char path[64];
    int folder;
};

static int set_up(void **state)
{
    static struct fixture fixture;

    (void)snprintf(fixture.path, sizeof fixture.path, "/tmp/pp_leftover_XXXXXX");
    assert_non_null(mkdtemp(fixture.path));
    fixture.folder = open(fixture.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(fixture.folder >= 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    (void)unlinkat(fixture->folder, "a", 0);
    (void)unlinkat(fixture->folder, "b", 0);
    assert_int_equal(close(fixture->folder), 0);
    return rmdir(fixture->path);
}

static struct stat make(const struct fixture *fixture, const char *name)
{
    const int fd = openat(fixture->folder, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    struct stat status;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(close(fd), 0);
    return status;
}

static void make_noted(const struct fixture *fixture, const char *name)
{
    const struct stat status = make(fixture, name);

    pp_leftover_note(fixture->folder, name, &status);
}

static bool exists(const struct fixture *fixture, const char *name)
{
    return faccessat(fixture->folder, name, F_OK, 0) == 0;
}

static void test_what_was_noted_is_removed(void **state)
{
    make_noted(*state, "a");
    make_noted(*state, "b");
    pp_leftover_remove_all();
    assert_false(exists(*state, "a"));
    assert_false(exists(*state, "b"));
}

static void test_one_is_removed_by_its_name(void **state)
{
    const struct fixture *fixture = *state;

    make_noted(fixture, "a");
    make_noted(fixture, "b");
    pp_leftover_remove(fixture->folder, "a");
    assert_false(exists(fixture, "a"));
    assert_true(exists(fixture, "b"));
    pp_leftover_remove_all();
}

static void test_what_was_not_noted_or_is_forgotten_stays(void **state)
{
    const struct fixture *fixture = *state;

    (void)make(fixture, "a");
    make_noted(fixture, "b");
    pp_leftover_forget(fixture->folder, "b");
    pp_leftover_remove(fixture->folder, "a");
    pp_leftover_remove_all();
    assert_true(exists(fixture, "a"));
    assert_true(exists(fixture, "b"));
}

/* Both exist at the same time, so that the second cannot be given the first's inode. */
static void test_another_file_of_that_name_stays(void **state)
{
    const struct fixture *fixture = *state;

    make_noted(fixture, "a");
    (void)make(fixture, "b");
    assert_int_equal(renameat(fixture->folder, "b", fixture->folder, "a"), 0);
    pp_leftover_remove_all();
    assert_true(exists(fixture, "a"));
    pp_leftover_remove(fixture->folder, "a");
    assert_true(exists(fixture, "a"));
}

static void test_there_is_room_again_for_what_was_forgotten(void **state)
{
    const struct fixture *fixture = *state;

    for (unsigned i = 0; i < 3 * PP_LEFTOVERS_MAX; i++) {
        make_noted(fixture, "a");
        pp_leftover_remove(fixture->folder, "a");
        assert_false(exists(fixture, "a"));
    }
}

static void test_the_same_name_is_noted_once(void **state)
{
    const struct fixture *fixture = *state;
    const struct stat status = make(fixture, "b");

    for (unsigned i = 0; i < PP_LEFTOVERS_MAX; i++)
        pp_leftover_note(fixture->folder, "b", &status);
    make_noted(fixture, "a");
    pp_leftover_remove_all();
    assert_false(exists(fixture, "a"));
    pp_leftover_forget(fixture->folder, "a");
    pp_leftover_forget(fixture->folder, "b");
}

static void test_too_many_or_too_long_a_name_is_not_noted(void **state)
{
    const struct fixture *fixture = *state;
    const struct stat status = make(fixture, "a");
    char name[PP_LEFTOVER_NAME_BYTES + 1];

    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    pp_leftover_note(fixture->folder, name, &status);
    for (int i = 0; i < PP_LEFTOVERS_MAX; i++) {
        (void)snprintf(name, sizeof name, "other %d", i);
        pp_leftover_note(fixture->folder, name, &status);
    }
    pp_leftover_note(fixture->folder, "a", &status);
    pp_leftover_remove_all();
    assert_true(exists(fixture, "a"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_noted_is_removed),
        TEST(test_one_is_removed_by_its_name),
        TEST(test_what_was_not_noted_or_is_forgotten_stays),
        TEST(test_another_file_of_that_name_stays),
        TEST(test_there_is_room_again_for_what_was_forgotten),
        TEST(test_the_same_name_is_noted_once),
        TEST(test_too_many_or_too_long_a_name_is_not_noted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
