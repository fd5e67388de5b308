/* A histogram as HdrHistogram's other implementations read it: the compressed V2 encoding, in
 * base64. Only writes; a histogram that came from elsewhere is not read here. */
#ifndef PP_MEASURE_HIST_WIRE_H
#define PP_MEASURE_HIST_WIRE_H

#include "measure/hist.h"

#include <stddef.h>

struct pp_hist_encoder; /* opaque; for one thread at a time */

/* Takes all the memory that encoding needs, so that histograms can be encoded while memory is
 * sealed: about 1.2 MB, touched only as far as it is used. NULL when there is no memory. The caller
 * owns the encoder and gives it back with pp_hist_encoder_close(); NULL is fine there. */
struct pp_hist_encoder *pp_hist_encoder_open(void);
void pp_hist_encoder_close(struct pp_hist_encoder *encoder);

/* hist as one line of text that begins with "HISTFAA", without a newline. It belongs to the
 * encoder and stands until the next call. Cannot fail. What the encoding has no place for is lost:
 * the exact minimum, maximum and sum, and how many samples were saturated. */
const char *pp_hist_encode(struct pp_hist_encoder *encoder, const struct pp_hist *hist);

#endif
