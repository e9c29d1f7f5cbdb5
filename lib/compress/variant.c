#include "compress/variant.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/format.h"
#include "base/report.h"

#define FLOPS_LENGTH 64 /* tokens of the sequence that work is quoted for */

static int of_encoder(const char *name)
{
    return strncmp(name, "rank.", 5) != 0 && strncmp(name, "learn.", 6) != 0;
}

int32_t variant_mark(parts *p, const char *how, ecrec_error *err)
{
    const char *old = properties_string(p->settings, "space.variant", "");
    char text[40];
    hash128 h = hash_128(old, strlen(old), hash64(how, strlen(how), 0));
    for (size_t i = 0; i < tensor_set_count(p->tensors); i++) {
        const char *name = NULL;
        const tensor *t = tensor_set_at(p->tensors, i, &name);
        if (!of_encoder(name))
            continue;
        h = hash_128(name, strlen(name), h.low ^ h.high);
        h = hash_128(t->data, t->bytes, h.low ^ h.high);
    }
    size_t n = format_text(text, sizeof text, "%016llx%016llx", (unsigned long long)h.high, (unsigned long long)h.low);
    if (properties_set_string(p->settings, "space.variant", text, n) != ECREC_OK)
        return error_nomem(err, "the variant's fingerprint", n);
    return ECREC_OK;
}

double variant_bytes(const tensor_set *tensors)
{
    double bytes = 0;
    for (size_t i = 0; i < tensor_set_count(tensors); i++) {
        const char *name = NULL;
        const tensor *t = tensor_set_at(tensors, i, &name);
        if (of_encoder(name))
            bytes += (double)t->bytes;
    }
    return bytes;
}

static void pair(ecrec_report *report, const char *name, double before, double after)
{
    report_numberf(report, before, "%s.before", name);
    report_numberf(report, after, "%s.after", name);
    report_numberf(report, before > 0 ? after / before : 1, "%s.ratio", name);
}

void variant_sizes(ecrec_report *report, const encoder *before, const encoder *after, const tensor_set *tensors_before,
                   const tensor_set *tensors_after)
{
    pair(report, "parameters", (double)encoder_parameters(before), (double)encoder_parameters(after));
    pair(report, "flops_per_token", encoder_flops(before, FLOPS_LENGTH), encoder_flops(after, FLOPS_LENGTH));
    pair(report, "bytes", variant_bytes(tensors_before), variant_bytes(tensors_after));
}
