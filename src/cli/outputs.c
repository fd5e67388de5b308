#include "cli/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_stdout(const struct pp_output *output)
{
    return strcmp(output->path, "-") == 0;
}

static int cannot_write(const struct pp_output *output, int error, struct pp_error *err)
{
    if (is_stdout(output))
        return pp_error_set(err, PP_ERROR_RUN, -error,
                            "cannot write the result: %s; where standard output goes must be "
                            "writable",
                            strerror(error));
    return pp_error_set(err, PP_ERROR_RUN, -error, "cannot write %.160s: %s; %s", output->path,
                        strerror(error),
                        output->temporary[0] ? "what was there before is as it was"
                                             : "name a file that can be written");
}

/* ---- files ---- */

/* A pipe or a device is no file that could be replaced. */
static bool is_replaceable(const char *path)
{
    struct stat status;

    return stat(path, &status) < 0 || S_ISREG(status.st_mode);
}

/* As open(2) would make a new file; an old one keeps its mode. */
static mode_t mode_of(const char *path)
{
    struct stat status;
    mode_t mask;

    if (stat(path, &status) == 0)
        return status.st_mode & 07777;
    mask = umask(0);
    (void)umask(mask);
    return 0666 & ~mask;
}

/* The name of a file that is still to be: its folder's, and its own. */
static int name_new(const char *path, char name[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    const char *own = slash ? slash + 1 : path;
    char folder[PATH_MAX], real[PATH_MAX];
    int used = snprintf(folder, sizeof folder, "%.*s", (int)(own - path), path);

    if (used < 0 || (size_t)used >= sizeof folder)
        return -ENAMETOOLONG;
    if (!realpath(used > 0 ? folder : ".", real))
        return -errno;
    used = snprintf(name, PATH_MAX, "%s/%s", strcmp(real, "/") == 0 ? "" : real, own);
    return used < 0 || used >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* A link is followed, so that it goes on being one; it has to lead somewhere. What is protected
 * from being written is so from being replaced, too. */
static int find_name(const char *path, char name[PATH_MAX])
{
    struct stat status;

    if (realpath(path, name))
        return access(name, W_OK) < 0 ? -errno : 0;
    if (errno != ENOENT || lstat(path, &status) == 0)
        return -errno;
    return name_new(path, name);
}

/* A descriptor, or a negative errno. */
static int open_temporary(struct pp_output *output)
{
    static const char suffix[] = ".XXXXXX";
    const int ret = find_name(output->path, output->name);
    size_t len;
    int fd;

    if (ret < 0)
        return ret;
    len = strlen(output->name);
    if (len + sizeof suffix > sizeof output->temporary)
        return -ENAMETOOLONG;
    memcpy(output->temporary, output->name, len);
    memcpy(output->temporary + len, suffix, sizeof suffix);
    fd = mkostemp(output->temporary, O_CLOEXEC);
    if (fd < 0) {
        output->temporary[0] = '\0';
        return -errno;
    }
    (void)fchmod(fd, mode_of(output->path));
    return fd;
}

static int open_file(struct pp_output *output, struct pp_error *err)
{
    int fd;

    if (is_stdout(output)) {
        output->report.out = stdout;
        return 0;
    }
    fd = is_replaceable(output->path) ? open_temporary(output)
                                      : open(output->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd == -1)
        fd = -errno;
    if (fd < 0)
        return cannot_write(output, -fd, err);
    output->report.out = fdopen(fd, "w");
    if (output->report.out)
        return 0;
    (void)close(fd);
    return cannot_write(output, ENOMEM, err);
}

/* To be called after each write: a later one may fail for a reason that says less. */
static void note_error(struct pp_output *output)
{
    if (ferror(output->report.out) && !output->error)
        output->error = errno ? errno : EIO;
}

/* All is written, and on the disk. 0 or a negative errno. */
static int flush(struct pp_output *output)
{
    FILE *out = output->report.out;

    (void)fflush(out);
    note_error(output);
    if (output->error)
        return -output->error;
    if (out == stdout || fsync(fileno(out)) == 0 || errno == EINVAL || errno == EROFS)
        return 0;
    return -errno;
}

static int commit(struct pp_output *output, struct pp_error *err)
{
    int ret = flush(output);

    if (ret == 0 && output->temporary[0])
        ret = rename(output->temporary, output->name) < 0 ? -errno : 0;
    if (ret < 0)
        return cannot_write(output, -ret, err);
    output->temporary[0] = '\0';
    return 0;
}

/* ---- all outputs ---- */

static struct pp_report_style style_of(const struct pp_cli *cli, const struct pp_screen *screen,
                                       const struct pp_output *output)
{
    struct pp_report_style style = screen->style;

    style.intervals = cli->intervals;
    if (is_stdout(output))
        return style;
    style.columns = 0;
    style.colour = false;
    return style;
}

static int look(const struct pp_output *output, struct stat *status)
{
    return is_stdout(output) ? fstat(STDOUT_FILENO, status) : stat(output->path, status);
}

/* One file may have several names, as what is behind standard output has /dev/stdout. A device that
 * is no terminal keeps nothing that could get mixed up. */
static bool are_same(const struct pp_output *a, const struct pp_output *b)
{
    struct stat of_a, of_b;

    if (a->name[0] && strcmp(a->name, b->name) == 0)
        return true;
    if (look(a, &of_a) < 0 || look(b, &of_b) < 0 || of_a.st_dev != of_b.st_dev ||
        of_a.st_ino != of_b.st_ino)
        return false;
    return !S_ISCHR(of_a.st_mode) || isatty(fileno(a->report.out));
}

static int refuse_both(const struct pp_output *a, const struct pp_output *b, struct pp_error *err)
{
    const struct pp_output *named = is_stdout(a) ? b : a, *other = named == a ? b : a;
    const char *option = pp_cli_output_option(named->report.format);

    if (!is_stdout(other))
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "%.80s and %.80s are the same file: name another one for --%s", a->path,
                            b->path, pp_cli_output_option(b->report.format));
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                        "%.80s is where standard output goes, and the %s with it: name another "
                        "file%s for --%s",
                        named->path, other->report.format->name,
                        other->report.format == &pp_report_text ? ", or - to have no text," : "",
                        option);
}

static int check_others(const struct pp_outputs *outputs, const struct pp_output *output,
                        struct pp_error *err)
{
    for (const struct pp_output *other = outputs->outputs; other < output; other++)
        if (are_same(other, output))
            return refuse_both(other, output, err);
    return 0;
}

static int open_output(struct pp_outputs *outputs, const struct pp_cli *cli,
                       const struct pp_screen *screen, const struct pp_cli_output *wanted,
                       struct pp_error *err)
{
    struct pp_output *output = &outputs->outputs[outputs->count++];
    int ret;

    *output = (struct pp_output){ .report.format = wanted->format, .path = wanted->path };
    output->report.style = style_of(cli, screen, output);
    ret = open_file(output, err);
    if (ret == 0)
        ret = check_others(outputs, output, err);
    return ret == 0 ? output->report.format->open(&output->report, err) : ret;
}

int pp_outputs_open(struct pp_outputs *outputs, const struct pp_cli *cli,
                    const struct pp_screen *screen, const struct pp_result *result,
                    struct pp_error *err)
{
    outputs->result = result;
    outputs->count = 0;
    outputs->begun = false;
    for (unsigned i = 0; i < cli->output_count; i++) {
        const int ret = open_output(outputs, cli, screen, &cli->outputs[i], err);

        if (ret < 0) {
            pp_outputs_close(outputs);
            return ret;
        }
    }
    return 0;
}

void pp_outputs_begin(struct pp_outputs *outputs)
{
    outputs->begun = true;
    for (unsigned i = 0; i < outputs->count; i++) {
        struct pp_report *report = &outputs->outputs[i].report;

        errno = 0;
        report->format->begin(report, outputs->result);
        note_error(&outputs->outputs[i]);
    }
}

int pp_outputs_interval(struct pp_outputs *outputs, const struct pp_result_interval *interval)
{
    int ret = 0;

    for (unsigned i = 0; i < outputs->count; i++) {
        struct pp_report *report = &outputs->outputs[i].report;

        errno = 0;
        report->format->interval(report, outputs->result, interval);
        note_error(&outputs->outputs[i]);
        if (is_stdout(&outputs->outputs[i]) && outputs->outputs[i].error == EPIPE)
            ret = -EPIPE;
    }
    return ret;
}

int pp_outputs_end(struct pp_outputs *outputs, const struct pp_error *error, struct pp_error *err)
{
    int first = 0;

    if (!outputs->begun)
        pp_outputs_begin(outputs);
    for (unsigned i = 0; i < outputs->count; i++) {
        struct pp_output *output = &outputs->outputs[i];
        int ret;

        errno = 0;
        ret = output->report.format->end(&output->report, outputs->result, error, err);
        note_error(output);
        if (ret == 0)
            ret = commit(output, err);
        if (first == 0)
            first = ret;
    }
    return first;
}

void pp_outputs_close(struct pp_outputs *outputs)
{
    for (unsigned i = 0; i < outputs->count; i++) {
        struct pp_output *output = &outputs->outputs[i];

        output->report.format->close(&output->report);
        if (output->report.out && output->report.out != stdout)
            (void)fclose(output->report.out);
        if (output->temporary[0])
            (void)unlink(output->temporary);
    }
    outputs->count = 0;
}

bool pp_outputs_show_text(const struct pp_outputs *outputs)
{
    for (unsigned i = 0; i < outputs->count; i++)
        if (outputs->outputs[i].report.format == &pp_report_text && is_stdout(&outputs->outputs[i]))
            return true;
    return false;
}
