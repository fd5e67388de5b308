/* A directory that stands in for the root of a system. */
#ifndef TESTS_MEASURE_TREE_H
#define TESTS_MEASURE_TREE_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h> /* needs the headers above */

struct tree {
    char root[64];
};

static inline void tree_open(struct tree *tree)
{
    (void)snprintf(tree->root, sizeof tree->root, P_tmpdir "/pingpong-tree-XXXXXX");
    assert_non_null(mkdtemp(tree->root));
}

static inline int tree_remove(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void tree_close(struct tree *tree)
{
    assert_int_equal(nftw(tree->root, tree_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Writes a file, bytes long, and makes the directories that lead to it. */
static inline void tree_write_bytes(const struct tree *tree, const char *path, const char *text,
                                    size_t bytes)
{
    char full[PATH_MAX];
    int fd;

    (void)snprintf(full, sizeof full, "%s%s", tree->root, path);
    for (char *p = full + strlen(tree->root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        (void)mkdir(full, 0700);
        *p = '/';
    }
    fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, bytes), bytes);
    assert_int_equal(close(fd), 0);
}

static inline void tree_write(const struct tree *tree, const char *path, const char *text)
{
    tree_write_bytes(tree, path, text, strlen(text));
}

#endif
