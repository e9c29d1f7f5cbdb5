/* The settings that are written once the sizes are known. */
#include "import/config.h"

static int32_t finish_layers(folder *f, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (uint64_t i = 0; i < f->layers && status == ECREC_OK; i++) {
        if ((status = config_set_layer(f, i, "heads", f->heads, err)) || (status = config_set_layer(f, i, "feed_forward", f->feed_forward, err)))
            return status;
        if (f->groups != f->heads)
            status = config_set_layer(f, i, "groups", f->groups, err);
        if (status == ECREC_OK && folder_layer_of(f, i) != i)
            status = config_set_layer(f, i, "weights", folder_layer_of(f, i), err);
    }
    return status;
}

/* Settings that are a word or a switch. */
static int32_t finish_kinds(folder *f, ecrec_error *err)
{
    const family *m = f->family;
    const char *position = f->rotaries != 0 ? "rotary" : m->position != NULL ? "absolute" : "none";
    const struct { const char *name; int on; } switches[] = {
        { "encoder.causal", (m->flags & FAMILY_CAUSAL) != 0 }, { "encoder.gated", f->gated },
        { "encoder.query_key_norm", m->query_norm != NULL },   { "encoder.embedding_norm", m->embedding_norm != NULL },
        { "encoder.final_norm", m->final_norm != NULL },       { "encoder.position_end", (m->flags & FAMILY_ITEMS) != 0 } };
    int32_t status;
    if ((status = set_string(f, "encoder.kind", "transformer", err)) ||
        (status = set_string(f, "encoder.norm", (m->flags & FAMILY_RMS) != 0 ? "rms" : "layer", err)) ||
        (status = set_string(f, "encoder.norm_place", (m->flags & FAMILY_PRE_NORM) != 0 ? "pre" : "post", err)) ||
        (status = set_string(f, "encoder.position", position, err)))
        return status;
    for (size_t i = 0; i < sizeof switches / sizeof *switches && status == ECREC_OK; i++)
        status = set_u64(f, switches[i].name, (uint64_t)switches[i].on, err);
    if (status == ECREC_OK && (m->flags & FAMILY_UNSCALED) != 0)
        status = set_f64(f, "encoder.attention_scale", 1, err);
    if (status == ECREC_OK && (m->flags & FAMILY_STATIC) != 0)
        status = set_u64(f, "encoder.special_tokens", 0, err);
    return status;
}

int32_t config_finish(folder *f, ecrec_error *err)
{
    const uint64_t positions = f->rotaries != 0 ? f->max_length : f->family->position != NULL ? f->rows : 0;
    const struct { const char *name; uint64_t value; } sizes[] = {
        { "encoder.layers", f->layers },         { "encoder.hidden_size", f->hidden },       { "encoder.head_size", f->head_size },
        { "encoder.vocabulary", f->vocabulary }, { "encoder.embedding_size", f->embedding }, { "encoder.positions", positions },
        { "encoder.token_types", f->types },     { "encoder.max_length", f->max_length },    { "encoder.dimension", f->dimension } };
    const struct { const char *name; uint64_t value; } some[] = {
        { "encoder.rotary_tables", f->rotaries },       { "encoder.rotary_size", f->rotaries != 0 ? f->rotary_size : 0 },
        { "encoder.patch_size", f->patch },             { "encoder.image_height", f->image_height },
        { "encoder.image_width", f->image_width },      { "encoder.image_channels", f->channels } };
    int32_t status = finish_kinds(f, err);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && status == ECREC_OK; i++)
        status = set_u64(f, sizes[i].name, sizes[i].value, err);
    for (size_t i = 0; i < sizeof some / sizeof *some && status == ECREC_OK; i++)
        if (some[i].value != 0)
            status = set_u64(f, some[i].name, some[i].value, err);
    return status == ECREC_OK ? finish_layers(f, err) : status;
}
