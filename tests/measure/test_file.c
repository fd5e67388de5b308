#include "measure/file.h"

#include "tree.h"

static int setup(void **state)
{
    static struct tree tree;

    tree_open(&tree);
    *state = &tree;
    return 0;
}

static int teardown(void **state)
{
    tree_close(*state);
    return 0;
}

static const char *path_in(const struct tree *tree, const char *name)
{
    static char path[PP_FILE_PATH_BYTES];

    return pp_file_path(path, tree->root, "/%s", name);
}

static void test_a_path_is_made_from_root_and_format(void **state)
{
    char path[PP_FILE_PATH_BYTES];

    (void)state;
    assert_string_equal(pp_file_path(path, "/root", "/cpu%d/%s", 3, "x"), "/root/cpu3/x");
    assert_string_equal(pp_file_path(path, "", "/x"), "/x");
}

static void test_a_path_that_does_not_fit_is_cut_and_stays_a_string(void **state)
{
    static char root[PP_FILE_PATH_BYTES * 2];
    char path[PP_FILE_PATH_BYTES];

    (void)state;
    memset(root, 'r', sizeof root - 1);
    assert_int_equal(strlen(pp_file_path(path, root, "/x")), PP_FILE_PATH_BYTES - 1);
    root[PP_FILE_PATH_BYTES - 3] = '\0';
    assert_string_equal(pp_file_path(path, root, "/x/y") + PP_FILE_PATH_BYTES - 3, "/x");
}

static void test_bytes_are_read_as_far_as_there_is_room(void **state)
{
    char text[6] = "?????";

    tree_write(*state, "/a", "ab\ncdef");
    assert_int_equal(pp_file_bytes(path_in(*state, "a"), text, 4), 3);
    assert_string_equal(text, "ab\n");
    assert_int_equal(text[4], '?');
    assert_int_equal(pp_file_bytes(path_in(*state, "a"), text, 1), 0);
    assert_string_equal(text, "");
}

static void test_what_is_not_there_reads_as_nothing(void **state)
{
    char text[8] = "?";
    uint64_t number = 7;
    struct pp_file_lines lines;
    struct pp_file_names names;

    assert_int_equal(pp_file_bytes(path_in(*state, "none"), text, sizeof text), 0);
    assert_string_equal(text, "");
    assert_false(pp_file_line(path_in(*state, "none"), text, sizeof text));
    assert_false(pp_file_line(path_in(*state, ""), text, sizeof text)); /* a directory */
    assert_false(pp_file_number(path_in(*state, "none"), &number));
    assert_true(number == 7);
    pp_file_lines_open(&lines, path_in(*state, "none"));
    assert_null(pp_file_lines_next(&lines));
    pp_file_lines_close(&lines);
    pp_file_names_open(&names, path_in(*state, "none"));
    assert_null(pp_file_names_next(&names));
    pp_file_names_close(&names);
}

static void test_a_number_is_the_whole_line(void **state)
{
    uint64_t number = 7;

    tree_write(*state, "/a", "4294967296\n");
    assert_true(pp_file_number(path_in(*state, "a"), &number));
    assert_true(number == 4294967296);
    tree_write(*state, "/a", "-1\n");
    assert_false(pp_file_number(path_in(*state, "a"), &number));
    tree_write(*state, "/a", "12 13\n");
    assert_false(pp_file_number(path_in(*state, "a"), &number));
    assert_true(number == 4294967296);
}

static void test_lines_come_one_by_one_across_what_is_read_at_once(void **state)
{
    static char text[100000];
    struct pp_file_lines lines;
    char want[16];
    size_t bytes = 0;
    unsigned count = 0;
    const char *line;

    for (; bytes < sizeof text - 16; count++)
        bytes += (size_t)sprintf(text + bytes, "line %u\n", count);
    tree_write(*state, "/a", text);
    pp_file_lines_open(&lines, path_in(*state, "a"));
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(want, sizeof want, "line %u", i);
        line = pp_file_lines_next(&lines);
        assert_non_null(line);
        assert_string_equal(line, want);
    }
    assert_null(pp_file_lines_next(&lines));
    pp_file_lines_close(&lines);
}

static void test_a_line_that_is_too_long_ends_the_lines(void **state)
{
    static char text[20000];
    struct pp_file_lines lines;

    memset(text, 'x', sizeof text - 1);
    memcpy(text, "a\n\n", 3);
    tree_write(*state, "/a", text);
    pp_file_lines_open(&lines, path_in(*state, "a"));
    assert_string_equal(pp_file_lines_next(&lines), "a");
    assert_string_equal(pp_file_lines_next(&lines), "");
    assert_null(pp_file_lines_next(&lines));
    pp_file_lines_close(&lines);
}

/* More than the kernel gives at once. */
static void test_each_name_in_a_directory_comes_once(void **state)
{
    bool seen[500] = { false };
    struct pp_file_names names;
    const char *name;
    char path[32];
    unsigned number;

    for (unsigned i = 0; i < 500; i++) {
        (void)snprintf(path, sizeof path, "/names/file %u", i);
        tree_write(*state, path, "");
    }
    pp_file_names_open(&names, path_in(*state, "names"));
    while ((name = pp_file_names_next(&names))) {
        assert_int_equal(sscanf(name, "file %u", &number), 1);
        assert_true(number < 500 && !seen[number]);
        seen[number] = true;
    }
    pp_file_names_close(&names);
    for (unsigned i = 0; i < 500; i++)
        assert_true(seen[i]);
}

#define TREE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_a_path_is_made_from_root_and_format),
        TREE_TEST(test_a_path_that_does_not_fit_is_cut_and_stays_a_string),
        TREE_TEST(test_bytes_are_read_as_far_as_there_is_room),
        TREE_TEST(test_what_is_not_there_reads_as_nothing),
        TREE_TEST(test_a_number_is_the_whole_line),
        TREE_TEST(test_lines_come_one_by_one_across_what_is_read_at_once),
        TREE_TEST(test_a_line_that_is_too_long_ends_the_lines),
        TREE_TEST(test_each_name_in_a_directory_comes_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
