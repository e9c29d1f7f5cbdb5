/* Building a report: dotted names, numbers and strings; finished into table and JSON. */
#ifndef ECREC_LIB_BASE_REPORT_H
#define ECREC_LIB_BASE_REPORT_H

#include "base/memory.h"
#include "ecrec/base.h"

/* A report is made, filled and finished; adding after a failed add does nothing, and report_finish says NOMEM.
 * Every name is a new one; names that share a beginning up to a dot are added one after the other; a name is
 * never the beginning of another ("a" and "a.b"). */
int32_t report_create(ecrec_context *context, const char *title, ecrec_report **out, ecrec_error *err);
void report_number(ecrec_report *r, const char *name, double value); /* integers below 2^53 print as integers */
void report_string(ecrec_report *r, const char *name, const char *value, size_t length);
void report_numberf(ecrec_report *r, double value, const char *name_format, ...);
int32_t report_finish(ecrec_report *r, ecrec_error *err); /* makes JSON and text; on failure the caller releases r */

#endif
