#include "import/config.h"

#include <string.h>

#include "base/error.h"
#include "base/format.h"

#define FILE_NAME "config.json"
enum { MOST_WIDTH = 65536, MOST_LAYERS = 1024, MOST_HEADS = 4096, MOST_VOCABULARY = 1 << 24, MOST_LENGTH = 1 << 20, MOST_LABELS = 65536 };

int32_t set_u64(folder *f, const char *name, uint64_t value, ecrec_error *err)
{
    return properties_set_u64(f->settings, name, value) == ECREC_OK ? ECREC_OK : error_nomem(err, "a setting", 0);
}

int32_t set_f64(folder *f, const char *name, double value, ecrec_error *err)
{
    return properties_set_f64(f->settings, name, value) == ECREC_OK ? ECREC_OK : error_nomem(err, "a setting", 0);
}

int32_t set_string(folder *f, const char *name, const char *value, ecrec_error *err)
{
    return properties_set_string(f->settings, name, value, strlen(value)) == ECREC_OK ? ECREC_OK : error_nomem(err, "a setting", 0);
}

/* ---- keys that have several spellings ("a|b|c") ---- */

/* The first spelling whose value is there and not null; without one the first spelling at all. */
static const char *spelling(const json *config, const char *keys, char name[64])
{
    size_t first = 0;
    for (const char *at = keys; *at != 0;) {
        const char *end = strchr(at, '|');
        const size_t n = end != NULL ? (size_t)(end - at) : strlen(at);
        memcpy(name, at, n);
        name[n] = 0;
        first = first != 0 ? first : n;
        const json *v = json_get(config, name);
        if (v != NULL && !json_is(v, JSON_NULL))
            return name;
        at += n + (end != NULL);
    }
    memcpy(name, keys, first);
    name[first] = 0;
    return name;
}

static int given(const folder *f, const char *keys)
{
    char name[64];
    const json *v = json_get(f->config, spelling(f->config, keys, name));
    return v != NULL && !json_is(v, JSON_NULL);
}

/* missing UINT64_MAX: it must be there */
static int32_t size_key(folder *f, const char *keys, uint64_t missing, uint64_t least, uint64_t most, uint64_t *out, ecrec_error *err)
{
    char name[64];
    const char *key = spelling(f->config, keys, name);
    const int32_t status = json_get_u64(f->config, FILE_NAME, key, missing, out, err);
    if (status == ECREC_OK && (*out < least || *out > most))
        return error_set(err, ECREC_ERR_FORMAT, FILE_NAME ": \"%s\" is %s; it must be %llu .. %llu", key,
                         json_get(f->config, key) == NULL ? "missing" : "out of range", (unsigned long long)least, (unsigned long long)most);
    return status;
}

static int32_t flag_key(folder *f, const char *key, int missing, int *out, ecrec_error *err)
{
    return json_get_bool(f->config, FILE_NAME, key, missing, out, err);
}

/* A switch that must stand as we do it. */
static int32_t must_be(folder *f, const char *key, int wanted, ecrec_error *err)
{
    int on = wanted;
    const int32_t status = flag_key(f, key, wanted, &on, err);
    if (status == ECREC_OK && on != wanted)
        return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": %s %s is not supported (supported: %s)", key, on ? "true" : "false", wanted ? "true" : "false");
    return status;
}

static int32_t must_be_absent(folder *f, const char *key, ecrec_error *err)
{
    const json *v = json_get(f->config, key);
    if (v == NULL || json_is(v, JSON_NULL) || json_is(v, JSON_FALSE) || (json_is(v, JSON_NUMBER) && v->number == 0))
        return ECREC_OK;
    return error_at(err, ECREC_ERR_UNSUPPORTED, v->position, FILE_NAME ": %s is set, which is not supported (supported: null)", key);
}

static void bias(folder *f, int on, uint32_t which)
{
    f->biases = on ? f->biases | which : f->biases & ~which;
}

static int32_t bias_key(folder *f, const char *key, uint32_t which, ecrec_error *err)
{
    int on = (f->biases & which) == which;
    const int32_t status = flag_key(f, key, on, &on, err);
    bias(f, on, which);
    return status;
}

static int is_type(const folder *f, const char *type)
{
    return strcmp(f->model_type, type) == 0;
}

/* ---- pieces ---- */

int32_t config_activation(folder *f, const char *setting, const char *key, const char *value, ecrec_error *err)
{
    static const char *const names[][2] = { { "gelu", "gelu" },           { "gelu_new", "gelu_tanh" },
                                            { "gelu_fast", "gelu_tanh" }, { "gelu_pytorch_tanh", "gelu_tanh" },
                                            { "gelu_accurate", "gelu_tanh" }, { "gelu_python", "gelu" },
                                            { "quick_gelu", "gelu_quick" }, { "relu", "relu" },
                                            { "silu", "silu" },           { "swish", "silu" },
                                            { "tanh", "tanh" },           { "linear", "none" } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], value) == 0)
            return set_string(f, setting, names[i][1], err);
    return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": %s \"%s\" is not supported (supported: gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, "
                     "quick_gelu, relu, silu, swish, tanh, linear)", key, value);
}

static int is_t5(const folder *f)
{
    return is_type(f, "t5") || is_type(f, "mt5");
}

static int32_t read_activation(folder *f, ecrec_error *err)
{
    char name[64];
    const char *value = NULL, *key = spelling(f->config, "hidden_act|activation|activation_function|hidden_activation|dense_act_fn", name);
    int32_t status = json_get_string(f->config, FILE_NAME, key, f->family->activation, &value, err);
    if (status != ECREC_OK)
        return status;
    if (is_t5(f) && (given(f, "feed_forward_proj") || is_type(f, "mt5"))) { /* "gated-gelu" means gelu_new there */
        key = "feed_forward_proj";
        if ((status = json_get_string(f->config, FILE_NAME, key, "gated-gelu", &value, err)) != ECREC_OK)
            return status;
        f->gated = strncmp(value, "gated-", 6) == 0;
        value = strcmp(value, "gated-gelu") == 0 ? "gelu_new" : f->gated ? value + 6 : value;
    }
    if (is_type(f, "nomic_bert") && strcmp(key, "activation_function") == 0) {
        if (strcmp(value, "swiglu") != 0 && strcmp(value, "geglu") != 0)
            return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": activation_function \"%s\" is not supported (supported: swiglu, geglu)", value);
        value = strcmp(value, "swiglu") == 0 ? "silu" : "gelu";
    }
    return config_activation(f, "encoder.activation", key, value, err);
}

static int32_t read_eps(folder *f, ecrec_error *err)
{
    char name[64];
    double eps = 0;
    const char *key = spelling(f->config, "layer_norm_eps|layer_norm_epsilon|norm_eps|rms_norm_eps", name);
    const int32_t status = json_get_double(f->config, FILE_NAME, key, f->family->eps, &eps, err);
    if (status == ECREC_OK && !(eps > 0 && eps < 1))
        return error_set(err, ECREC_ERR_FORMAT, FILE_NAME ": %s %g is not between 0 and 1", key, eps);
    return status == ECREC_OK ? set_f64(f, "encoder.norm_eps", eps, err) : status;
}

static int32_t read_sizes(folder *f, ecrec_error *err)
{
    int32_t status;
    if ((status = size_key(f, "hidden_size|n_embd|dim|d_model", UINT64_MAX, 1, MOST_WIDTH, &f->hidden, err)) ||
        (status = size_key(f, "num_hidden_layers|n_layers|n_layer|num_layers", UINT64_MAX, 1, MOST_LAYERS, &f->layers, err)) ||
        (status = size_key(f, "num_attention_heads|n_heads|n_head|num_heads", UINT64_MAX, 1, MOST_HEADS, &f->heads, err)) ||
        (status = size_key(f, "num_key_value_heads", f->heads, 1, MOST_HEADS, &f->groups, err)) ||
        (status = size_key(f, "intermediate_size|n_inner|hidden_dim|d_ff", 4 * f->hidden, 1, MOST_WIDTH, &f->feed_forward, err)) ||
        (status = size_key(f, "head_dim|d_kv", 0, 0, MOST_WIDTH, &f->head_size, err)) ||
        (status = size_key(f, "embedding_size", f->hidden, 1, MOST_WIDTH, &f->embedding, err)))
        return status;
    if (f->heads % f->groups != 0)
        return error_set(err, ECREC_ERR_FORMAT, FILE_NAME ": num_key_value_heads %llu does not divide num_attention_heads %llu",
                         (unsigned long long)f->groups, (unsigned long long)f->heads);
    if (f->head_size == 0 && f->hidden % f->heads != 0)
        return error_set(err, ECREC_ERR_FORMAT, FILE_NAME ": hidden_size %llu is not a multiple of num_attention_heads %llu",
                         (unsigned long long)f->hidden, (unsigned long long)f->heads);
    f->head_size = f->head_size != 0 ? f->head_size : f->hidden / f->heads;
    if (f->head_size * f->heads > MOST_WIDTH)
        return error_set(err, ECREC_ERR_FORMAT, FILE_NAME ": heads of %llu values, %llu of them, are wider than %d", (unsigned long long)f->head_size,
                         (unsigned long long)f->heads, MOST_WIDTH);
    if (f->family->embedding_projection == NULL)
        f->embedding = f->hidden;
    return ECREC_OK;
}

/* Token ids, their types, and how many positions there are. */
static int32_t read_tokens(folder *f, ecrec_error *err)
{
    const family *m = f->family;
    uint64_t multiple = 1, padding = 0;
    const char *kind = NULL;
    int32_t status;
    if ((status = size_key(f, "vocab_size", UINT64_MAX, 1, MOST_VOCABULARY, &f->vocabulary, err)) ||
        (status = size_key(f, "pad_vocab_size_multiple", 1, 1, 4096, &multiple, err)) ||
        (status = size_key(f, "type_vocab_size", m->type != NULL ? 2 : 0, 0, 256, &f->types, err)) ||
        (status = json_get_string(f->config, FILE_NAME, "position_embedding_type", "absolute", &kind, err)))
        return status;
    if (is_type(f, "nomic_bert"))
        f->vocabulary = (f->vocabulary + multiple - 1) / multiple * multiple;
    if ((m->flags & FAMILY_NO_TYPES) != 0)
        f->types = 0;
    if (strcmp(kind, "absolute") != 0 && !((m->flags & FAMILY_ROTARY) != 0 && (strcmp(kind, "rope") == 0 || strcmp(kind, "rotary") == 0 || strcmp(kind, "sans_pos") == 0)))
        return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": position_embedding_type \"%s\" is not supported (supported: absolute)", kind);
    const uint64_t missing = m->position == NULL ? (is_t5(f) ? MOST_LENGTH : 2048) : is_type(f, "clip_text_model") ? 77 : UINT64_MAX;
    if ((status = size_key(f, is_t5(f) ? "max_position_embeddings" : "max_position_embeddings|n_positions", missing, 1, MOST_LENGTH, &f->rows, err)))
        return status;
    f->positions = f->rows;
    if ((m->flags & FAMILY_OFFSET) == 0)
        return ECREC_OK;
    if ((status = size_key(f, "pad_token_id", 1, 0, f->vocabulary - 1, &padding, err)))
        return status;
    if (is_type(f, "mpnet")) /* the reference takes 1, whatever its configuration says */
        padding = 1;
    if (f->rows <= padding + 1)
        return error_set(err, ECREC_ERR_FORMAT, FILE_NAME ": max_position_embeddings %llu leaves no position after pad_token_id %llu",
                         (unsigned long long)f->rows, (unsigned long long)padding);
    f->positions = f->rows - padding - 1;
    status = set_u64(f, "encoder.position_offset", padding + 1, err);
    return status == ECREC_OK ? set_u64(f, "encoder.position_padding", padding, err) : status;
}

/* A number, or a list of two equal ones or of height and width. */
static int32_t pair_key(folder *f, const char *key, uint64_t missing, uint64_t *height, uint64_t *width, ecrec_error *err)
{
    const json *v = json_get(f->config, key);
    if (v == NULL || json_is(v, JSON_NULL)) {
        *height = *width = missing;
    } else if (json_is(v, JSON_ARRAY) && v->length == 2) {
        if (!json_u64(json_at(v, 0), height) || !json_u64(json_at(v, 1), width))
            *height = 0;
    } else if (json_u64(v, height)) {
        *width = *height;
    } else {
        *height = 0;
    }
    if (*height == 0 || *width == 0 || *height > 16384 || *width > 16384)
        return error_set(err, ECREC_ERR_FORMAT, FILE_NAME ": \"%s\" must be a number, or a list of two, of 1 .. 16384", key);
    return ECREC_OK;
}

static int32_t read_image(folder *f, ecrec_error *err)
{
    uint64_t other = 0;
    int32_t status;
    if ((status = pair_key(f, "image_size", 224, &f->image_height, &f->image_width, err)) ||
        (status = pair_key(f, "patch_size", is_type(f, "vit") ? 16 : 32, &f->patch, &other, err)) ||
        (status = size_key(f, "num_channels", 3, 1, 256, &f->channels, err)))
        return status;
    if (other != f->patch)
        return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": patch_size %llu x %llu is not supported (supported: square)",
                         (unsigned long long)f->patch, (unsigned long long)other);
    if (f->patch > f->image_height || f->patch > f->image_width || f->patch * f->patch * f->channels > MOST_WIDTH)
        return error_set(err, ECREC_ERR_FORMAT, FILE_NAME ": patch_size %llu does not fit image_size %llu x %llu with %llu channels",
                         (unsigned long long)f->patch, (unsigned long long)f->image_height, (unsigned long long)f->image_width,
                         (unsigned long long)f->channels);
    f->positions = (f->image_height / f->patch) * (f->image_width / f->patch) + 1;
    if (f->positions > MOST_LENGTH)
        return error_set(err, ECREC_ERR_LIMIT, FILE_NAME ": an image has %llu patches", (unsigned long long)f->positions - 1);
    f->rows = f->positions;
    return ECREC_OK;
}

/* ---- which layers see how far, and how they turn ---- */

static int sliding(const folder *f, uint64_t layer)
{
    const json *v = json_at(json_get(f->config, "layer_types"), (size_t)layer);
    return json_equal(v, "sliding_attention");
}

static int32_t check_layer_types(const folder *f, ecrec_error *err)
{
    const json *list = json_get(f->config, "layer_types");
    if (list == NULL || json_is(list, JSON_NULL))
        return ECREC_OK;
    if (!json_is(list, JSON_ARRAY) || list->length != f->layers)
        return error_at(err, ECREC_ERR_FORMAT, list->position, FILE_NAME ": layer_types must be a list of %llu names", (unsigned long long)f->layers);
    for (const json *v = list->first; v != NULL; v = v->next)
        if (!json_equal(v, "full_attention") && !json_equal(v, "sliding_attention"))
            return error_at(err, ECREC_ERR_UNSUPPORTED, v->position, FILE_NAME ": layer_types has \"%s\" (supported: full_attention, sliding_attention)",
                            json_is(v, JSON_STRING) ? v->text : "something that is no name");
    return ECREC_OK;
}

int32_t config_set_layer(folder *f, uint64_t layer, const char *what, uint64_t value, ecrec_error *err)
{
    char name[64];
    format_text(name, sizeof name, "encoder.layers.%llu.%s", (unsigned long long)layer, what);
    return set_u64(f, name, value, err);
}

/* ModernBERT: every so many layers see all, the others +-local_attention / 2; each kind has a theta of its own. */
static int32_t modernbert_layers(folder *f, ecrec_error *err)
{
    uint64_t every = 3, local = 128;
    const int listed = json_is(json_get(f->config, "layer_types"), JSON_ARRAY);
    int32_t status;
    if ((status = size_key(f, "global_attn_every_n_layers", 3, 1, MOST_LAYERS, &every, err)) ||
        (status = size_key(f, "local_attention", 128, 1, MOST_LENGTH, &local, err)))
        return status;
    if (local < 2)
        return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": local_attention 1 is not supported (supported: 2 and more)");
    f->rotaries = 2;
    for (uint64_t i = 0; i < f->layers && status == ECREC_OK; i++)
        if (listed ? sliding(f, i) : i % every != 0) {
            status = config_set_layer(f, i, "window", local / 2, err);
            if (status == ECREC_OK)
                status = config_set_layer(f, i, "rotary", 1, err);
        }
    if (status == ECREC_OK && f->layers != 0)
        status = config_set_layer(f, 0, "attention_norm", 0, err);
    return status;
}

/* Decoders: a query sees itself and the window - 1 tokens before it. */
static int32_t decoder_layers(folder *f, ecrec_error *err)
{
    uint64_t window = 0, full = 0;
    int on = !is_type(f, "qwen2") && !is_type(f, "qwen3");
    const int listed = json_is(json_get(f->config, "layer_types"), JSON_ARRAY);
    int32_t status;
    if ((status = size_key(f, "sliding_window", 0, 0, MOST_LENGTH, &window, err)) || (status = flag_key(f, "use_sliding_window", on, &on, err)) ||
        (status = size_key(f, "max_window_layers", on && !given(f, "use_sliding_window") ? 0 : 28, 0, 1 << 20, &full, err)))
        return status;
    if (is_type(f, "llama") || !on)
        window = 0;
    if (window == 1)
        return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": sliding_window 1 is not supported (supported: null, 2 and more)");
    for (uint64_t i = 0; i < f->layers && window != 0 && status == ECREC_OK; i++)
        if (listed ? sliding(f, i) : is_type(f, "mistral") || i >= full)
            status = config_set_layer(f, i, "window", window - 1, err);
    return status;
}

/* rope_parameters of transformers 5 (one object, or one a kind of layer), rope_theta and rope_scaling before. */
static int32_t read_rotary(folder *f, ecrec_error *err)
{
    const json *v = json_get(f->config, "rope_parameters"), *scaling = json_get(f->config, "rope_scaling");
    const char *key = json_is(v, JSON_OBJECT) ? "rope_parameters" : "rope_scaling";
    double theta = 0, partial = 1;
    int32_t status;
    char name[64];
    for (int i = 0; i < 2; i++) {
        static const char *const kinds[] = { "full_attention", "sliding_attention" }, *const thetas[] = { "global_rope_theta", "local_rope_theta" };
        const json *own = json_get(v, kinds[i]);
        const char *spelt = spelling(f->config, "rope_theta|rotary_emb_base", name);
        if ((status = json_get_double(f->config, FILE_NAME, spelt, f->family->theta, &theta, err)))
            return status;
        if (is_type(f, "modernbert") && (status = json_get_double(f->config, FILE_NAME, thetas[i], i == 0 ? 160000 : 10000, &theta, err)))
            return status;
        if (!(theta >= 1 && theta <= 1e12))
            return error_set(err, ECREC_ERR_FORMAT, FILE_NAME ": the theta of rotary positions is %g", theta);
        f->rotary[i].theta = theta;
        const json *from = json_is(own, JSON_OBJECT) ? own : json_is(v, JSON_OBJECT) ? v : scaling;
        if ((status = rotary_read(from, key, (double)f->rows, &f->rotary[i], err)) != ECREC_OK)
            return status;
    }
    spelling(f->config, "partial_rotary_factor|rotary_emb_fraction", name);
    if (json_get(v, "partial_rotary_factor") != NULL)
        status = json_get_double(v, FILE_NAME, "partial_rotary_factor", 1, &partial, err);
    else
        status = json_get_double(f->config, FILE_NAME, name, 1, &partial, err);
    if (status != ECREC_OK)
        return status;
    if (!(partial > 0 && partial <= 1))
        return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": %s %g is not supported (supported: above 0, at most 1)", name, partial);
    if (partial < 1 && !is_type(f, "nomic_bert")) /* the reference passes over it in some versions and fails in others */
        return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": partial_rotary_factor %g is not supported for model_type \"%s\" (supported: 1)", partial,
                         f->model_type);
    f->rotary_size = (uint64_t)((double)f->head_size * partial);
    f->rotaries = 1;
    if (f->rotary_size < 2 || f->rotary_size % 2 != 0)
        return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": rotary positions over %llu values of a head are not supported (supported: even numbers)",
                         (unsigned long long)f->rotary_size);
    return ECREC_OK;
}

/* ---- what is particular ---- */

static int32_t read_biases(folder *f, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    f->biases = f->family->biases;
    if (is_type(f, "modernbert") || is_type(f, "llama") || is_type(f, "qwen3")) {
        if ((status = bias_key(f, "attention_bias", BIAS_QKV | BIAS_OUTPUT, err)) == ECREC_OK)
            status = bias_key(f, "mlp_bias", BIAS_IN | BIAS_OUT, err);
        if (status == ECREC_OK && is_type(f, "modernbert"))
            status = bias_key(f, "norm_bias", BIAS_NORM, err);
    } else if (is_type(f, "nomic_bert")) {
        if ((status = bias_key(f, "qkv_proj_bias", BIAS_QKV | BIAS_OUTPUT, err)) == ECREC_OK &&
            (status = bias_key(f, "mlp_fc1_bias", BIAS_IN, err)) == ECREC_OK)
            status = bias_key(f, "mlp_fc2_bias", BIAS_OUT, err);
    } else if (is_type(f, "vit")) {
        status = bias_key(f, "qkv_bias", BIAS_QKV, err);
    }
    return status;
}

static int32_t read_particular(folder *f, ecrec_error *err)
{
    uint64_t number = 0;
    int on = 0;
    int32_t status = ECREC_OK;
    if (is_type(f, "nomic_bert")) {
        static const char *const off[] = { "prenorm", "rotary_emb_interleaved", "use_rms_norm", "parallel_block", "causal" };
        static const char *const absent[] = { "rotary_emb_scale_base", "rotary_scaling_factor", "num_experts" };
        for (size_t i = 0; i < sizeof off / sizeof *off && status == ECREC_OK; i++)
            status = must_be(f, off[i], 0, err);
        for (size_t i = 0; i < sizeof absent / sizeof *absent && status == ECREC_OK; i++)
            status = must_be_absent(f, absent[i], err);
    } else if (is_type(f, "gpt2")) {
        if ((status = must_be(f, "scale_attn_by_inverse_layer_idx", 0, err)) == ECREC_OK && (status = must_be(f, "add_cross_attention", 0, err)) == ECREC_OK)
            status = flag_key(f, "scale_attn_weights", 1, &on, err);
        if (status == ECREC_OK && !on)
            status = set_f64(f, "encoder.attention_scale", 1, err);
    } else if (is_type(f, "albert")) {
        if ((status = size_key(f, "num_hidden_groups", 1, 1, MOST_LAYERS, &f->layer_groups, err)) == ECREC_OK)
            status = size_key(f, "inner_group_num", 1, 1, MOST_LAYERS, &number, err);
        if (status == ECREC_OK && number != 1)
            return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": inner_group_num %llu is not supported (supported: 1)", (unsigned long long)number);
        if (status == ECREC_OK && f->layer_groups > (f->layers != 0 ? f->layers : 1))
            return error_set(err, ECREC_ERR_FORMAT, FILE_NAME ": num_hidden_groups %llu is above num_hidden_layers", (unsigned long long)f->layer_groups);
    } else if (is_type(f, "clip_text_model")) {
        if ((status = size_key(f, "eos_token_id", 49407, 0, UINT32_MAX - 1, &number, err)) == ECREC_OK && number != 2) /* 2: before it was right */
            status = set_u64(f, "encoder.end_token", number, err);
    } else if (is_type(f, "modernbert")) {
        status = modernbert_layers(f, err);
    } else if (f->family->classifier != NULL && strcmp(f->family->classifier, "score") == 0) {
        status = decoder_layers(f, err);
    }
    return status;
}

static int32_t read_relative(folder *f, ecrec_error *err)
{
    uint64_t buckets = 0, distance = 0;
    int32_t status;
    if ((status = size_key(f, "relative_attention_num_buckets", 32, 4, 65536, &buckets, err)) ||
        (status = size_key(f, "relative_attention_max_distance", 128, 2, MOST_LENGTH, &distance, err)))
        return status;
    if (buckets % 4 != 0 || distance <= buckets / 4)
        return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": relative_attention_num_buckets %llu is not supported (supported: multiples of 4, below 4 times the distance)",
                         (unsigned long long)buckets);
    f->bucket_rows = buckets;
    f->buckets = is_type(f, "mpnet") && buckets > 32 ? 32 : buckets; /* the reference uses no more, whatever the table has */
    if ((status = set_u64(f, "encoder.relative_buckets", f->buckets, err)))
        return status;
    return set_u64(f, "encoder.relative_distance", distance, err);
}

/* What turns logits into scores: what a cross-encoder's folder says, else what the kind of problem asks for. */
static int32_t read_classifier_activation(folder *f, ecrec_error *err)
{
    static const char *const tails[][2] = { { "Identity", "none" }, { "Sigmoid", "sigmoid" }, { "Softmax", "softmax" } };
    static const char *const problems[][2] = { { "regression", "none" }, { "single_label_classification", "softmax" }, { "multi_label_classification", "sigmoid" } };
    const char *said = NULL, *problem = NULL;
    int32_t status;
    if ((status = json_get_string(f->config, FILE_NAME, "sbert_ce_default_activation_function", NULL, &said, err)) ||
        (status = json_get_string(json_get(f->config, "sentence_transformers"), FILE_NAME, "activation_fn", said, &said, err)) ||
        (status = json_get_string(f->config, FILE_NAME, "problem_type", NULL, &problem, err)))
        return status;
    for (size_t i = 0; said != NULL && i < 3; i++)
        if (strstr(said, tails[i][0]) != NULL)
            return set_string(f, "classifier.activation", tails[i][1], err);
    if (said != NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": the activation \"%s\" of its scores is not supported (supported: Identity, Sigmoid, Softmax)", said);
    for (size_t i = 0; problem != NULL && i < 3; i++)
        if (strcmp(problem, problems[i][0]) == 0)
            return set_string(f, "classifier.activation", problems[i][1], err);
    return ECREC_OK;
}

/* The first of "architectures": does the model classify, and what are its labels called. */
static int32_t read_classifier(folder *f, ecrec_error *err)
{
    const json *first = json_at(json_get(f->config, "architectures"), 0), *names = json_get(f->config, "id2label");
    int32_t status = ECREC_OK;
    f->classifies = json_is(first, JSON_STRING) &&
                    (strstr(first->text, "ForSequenceClassification") != NULL || strstr(first->text, "ForImageClassification") != NULL);
    for (const json *v = f->classifies && json_is(names, JSON_OBJECT) ? names->first : NULL; v != NULL && status == ECREC_OK; v = v->next) {
        char name[64];
        uint64_t index = 0;
        if (!parse_u64(v->key, v->key_length, &index) || index >= MOST_LABELS || !json_is(v, JSON_STRING))
            return error_at(err, ECREC_ERR_FORMAT, v->position, FILE_NAME ": id2label must give names to numbers below %d", MOST_LABELS);
        format_text(name, sizeof name, "label.%llu", (unsigned long long)index);
        status = set_string(f, name, v->text, err);
    }
    return status == ECREC_OK && f->classifies ? read_classifier_activation(f, err) : status;
}

/* ---- the whole ---- */

static int32_t refuse_type(const folder *f, ecrec_error *err)
{
    if (json_get(f->config, "auto_map") != NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": model_type \"%s\" needs code of its own (auto_map), which is never run (supported: %s)",
                         f->model_type, family_list());
    return error_set(err, ECREC_ERR_UNSUPPORTED, FILE_NAME ": model_type \"%s\" is not supported (supported: %s)", f->model_type, family_list());
}

/* CLIP's own configuration holds one of each tower. */
static int32_t choose_tower(folder *f, ecrec_error *err)
{
    if (!is_type(f, "clip"))
        return ECREC_OK;
    const char *key = f->vision ? "vision_config" : "text_config";
    const json *part = json_get(f->config, key);
    if (!json_is(part, JSON_OBJECT))
        return error_set(err, ECREC_ERR_FORMAT, FILE_NAME ": \"%s\" is missing", key);
    f->config = part;
    f->model_type = f->vision ? "clip_vision_model" : "clip_text_model";
    return ECREC_OK;
}

int32_t config_read(folder *f, ecrec_error *err)
{
    int32_t status = json_get_string(f->config, FILE_NAME, "model_type", "", &f->model_type, err);
    if (status != ECREC_OK || (status = choose_tower(f, err)) != ECREC_OK)
        return status;
    if (*f->model_type == 0) /* then the tensors must say it */
        return ECREC_OK;
    if ((f->family = family_find(f->model_type)) == NULL)
        return refuse_type(f, err);
    const uint32_t flags = f->family->flags;
    f->gated = (flags & FAMILY_GATED) != 0;
    f->layer_groups = UINT64_MAX;
    if ((flags & (FAMILY_STATIC | FAMILY_ITEMS)) != 0) /* their tensors tell the sizes */
        return ECREC_OK;
    if ((status = read_sizes(f, err)) || (status = read_biases(f, err)) || (status = read_activation(f, err)) || (status = read_eps(f, err)) ||
        (status = (flags & FAMILY_IMAGE) != 0 ? read_image(f, err) : read_tokens(f, err)) || (status = check_layer_types(f, err)))
        return status;
    if ((flags & (FAMILY_CAUSAL | FAMILY_RELATIVE)) == 0 && (status = must_be(f, "is_decoder", 0, err)))
        return status;
    if ((flags & FAMILY_ROTARY) != 0 && (status = read_rotary(f, err)))
        return status;
    if ((flags & FAMILY_RELATIVE) != 0 && (status = read_relative(f, err)))
        return status;
    if ((status = read_particular(f, err)))
        return status;
    return read_classifier(f, err);
}
