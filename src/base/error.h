/* Errors: an int, zero or more for success, a negative errno for failure. The function that decides
 * what the error is also writes the one line a user reads; those above pass both on; main.c prints
 * the line and picks the exit status by the error's kind. */
#ifndef PP_BASE_ERROR_H
#define PP_BASE_ERROR_H

enum pp_error_kind {
    PP_ERROR_RUN,         /* the run failed */
    PP_ERROR_USAGE,       /* the command line makes no sense */
    PP_ERROR_GATE,        /* what was measured is not what was asked for */
    PP_ERROR_UNAVAILABLE, /* an engine or a feature cannot be had here */
    PP_ERROR_WRONG_ECHO   /* the peer answered something else than was sent */
};

struct pp_error {
    enum pp_error_kind kind;
    int code;       /* negative errno; 0: no error was set */
    char text[320]; /* one line: what was wrong, and what to do */
};

/* Fills err in and returns code, so that a caller can say `return pp_error_set(...)`. The first
 * error stands: where one is set already, it is kept and its code returned. err may be NULL. */
int pp_error_set(struct pp_error *err, enum pp_error_kind kind, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
