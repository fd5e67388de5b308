/* Whether a figure stayed the same over a measurement, or which course it took. */
#ifndef PP_MEASURE_COURSE_H
#define PP_MEASURE_COURSE_H

#define PP_COURSE_VALUES_MAX 64
#define PP_COURSE_VALUES_MIN 32 /* with fewer, chance alone takes a course too often */

enum pp_course_shape {
    PP_COURSE_UNKNOWN, /* too few values, or none above 0 */
    PP_COURSE_STEADY,
    PP_COURSE_STEP,   /* it went from one level to another, and stayed there */
    PP_COURSE_LEVELS, /* it went to and fro between two levels */
    PP_COURSE_LINE    /* it rose or fell all the time */
};

struct pp_course {
    enum pp_course_shape shape;
    double from, to; /* the mean before and after the step; the mean of the lower and of the higher
                        level; where the line begins and ends, within the values */
    unsigned at;     /* PP_COURSE_STEP: the number of the first value after it */
};

/* Of values, none below 0, at equal distances in time; at most PP_COURSE_VALUES_MAX of them. Values
 * that follow each other may depend on each other, as in a queue: what is tested holds for such
 * series as well. All tests are of logarithms, and each asks for a size besides its proof:
 *
 * - LINE: a straight line explains four fifths of the variance, and its ends differ 1.4 times.
 * - STEP: the self-normalised statistic of a change of the mean (Shao and Zhang, JASA 105, 2010,
 *   doi 10.1198/jasa.2010.tm10103) is above 150 (its limit is above 122 one time in a thousand),
 *   and the means differ 1.25 times.
 * - LEVELS: two groups explain 82 % of the variance (Otsu, IEEE Trans. SMC 9, 1979,
 *   doi 10.1109/TSMC.1979.4310076; noise in one group: 64 %), and
 *   their means differ 1.4 times.
 *
 * Each side of a step, and each level, has at least 15 % of the values. */
struct pp_course pp_course_of(const double *values, unsigned count);

/* "steady", "step", "levels", "line"; "unknown" */
const char *pp_course_name(enum pp_course_shape shape);

#endif
