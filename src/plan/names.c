#include "plan/plan.h"

const char *const pp_placement_names[PP_PLACEMENTS + 1] = { [PP_PLACEMENT_SAME] = "same",
                                                            [PP_PLACEMENT_SPLIT] = "split",
                                                            [PP_PLACEMENT_PAIRS] = "pairs",
                                                            [PP_PLACEMENT_NONE] = "none" };

const char *const pp_verify_names[PP_VERIFIES + 1] = {
    [PP_VERIFY_FULL] = "full", [PP_VERIFY_LEN] = "len", [PP_VERIFY_OFF] = "off"
};

const char *const pp_arrivals_names[PP_ARRIVALS + 1] = {
    [PP_ARRIVALS_FIXED] = "fixed", [PP_ARRIVALS_POISSON] = "poisson"
};

const char *const pp_wait_names[PP_WAITS + 1] = {
    [PP_IO_WAIT_BLOCK] = "block", [PP_IO_WAIT_SPIN] = "spin", [PP_IO_WAIT_YIELD] = "yield"
};
