#include "cli/outputs.h"

#include "cli/screen.h"
#include "job/interrupt.h"

#include <errno.h>
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
    if (output->file.why)
        return pp_error_set(err, PP_ERROR_RUN, -error, "cannot write %.160s: %s", output->path,
                            output->file.why);
    return pp_error_set(
        err, PP_ERROR_RUN, -error, "cannot write %.160s: %s; %s", output->path, strerror(error),
        output->report.out && output->file.folder >= 0 ? "what was there before is as it was"
                                                       : "name a file that can be written");
}

/* ---- files ---- */

static int open_file(struct pp_output *output, struct pp_error *err)
{
    int fd;

    if (is_stdout(output)) {
        output->report.out = stdout;
        return 0;
    }
    fd = pp_outfile_open(&output->file, output->path, pp_interrupt_signal);
    if (fd < 0)
        return cannot_write(output, -fd, err);
    output->report.out = pp_outfile_stream(fd);
    return output->report.out ? 0 : cannot_write(output, ENOMEM, err);
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

    if (ret == 0)
        ret = pp_outfile_commit(&output->file, fileno(output->report.out));
    return ret < 0 ? cannot_write(output, -ret, err) : 0;
}

/* ---- all outputs ---- */

static struct pp_report_style style_of(const struct pp_cli *cli, const struct pp_screen *screen,
                                       const struct pp_output *output)
{
    struct pp_report_style style = screen->style;

    style.intervals = cli->intervals;
    style.histogram = cli->histogram;
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

    if (pp_outfile_are_same(&a->file, &b->file))
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

    *output = (struct pp_output){ .report.format = wanted->format,
                                  .path = wanted->path,
                                  .file.folder = -1 };
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

int pp_outputs_write(struct pp_outputs *outputs,
                     int (*write)(void *context, struct pp_report *report, struct pp_error *err),
                     void *context, struct pp_error *err)
{
    int first = 0;

    for (unsigned i = 0; i < outputs->count; i++) {
        struct pp_output *output = &outputs->outputs[i];
        int ret;

        if (is_stdout(output)) /* which may have become narrower meanwhile */
            output->report.style.columns = pp_screen_columns();
        errno = 0;
        ret = write(context, &output->report, err);
        note_error(output);
        if (ret == 0)
            ret = commit(output, err);
        if (first == 0)
            first = ret;
    }
    return first;
}

struct ending {
    const struct pp_result *result;
    const struct pp_error *error;
};

static int end(void *context, struct pp_report *report, struct pp_error *err)
{
    const struct ending *ending = context;

    return report->format->end(report, ending->result, ending->error, err);
}

int pp_outputs_end(struct pp_outputs *outputs, const struct pp_error *error, struct pp_error *err)
{
    struct ending ending = { outputs->result, error };

    if (!outputs->begun)
        pp_outputs_begin(outputs);
    return pp_outputs_write(outputs, end, &ending, err);
}

void pp_outputs_close(struct pp_outputs *outputs)
{
    for (unsigned i = 0; i < outputs->count; i++) {
        struct pp_output *output = &outputs->outputs[i];

        output->report.format->close(&output->report);
        if (output->report.out && output->report.out != stdout)
            (void)fclose(output->report.out);
        pp_outfile_close(&output->file);
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
