#include "base/error.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>

/* What a user typed may be in the text: it must not break the one line. */
static void keep_to_one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            *text = '?';
}

int pp_error_set(struct pp_error *err, enum pp_error_kind kind, int code, const char *format, ...)
{
    va_list args;

    pp_assert(code < 0);
    if (!err)
        return code;
    if (err->code)
        return err->code;
    err->kind = kind;
    err->code = code;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    keep_to_one_line(err->text);
    return code;
}
