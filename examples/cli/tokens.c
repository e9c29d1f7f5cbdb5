/* tokenize: texts to tokens, and back with --decode */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

typedef struct tokens {
    ecrec_model *model;
    ecrec_session *session;
    uint32_t *ids, *offsets;
    uint8_t *types;
    size_t room;
    char *text;
    size_t text_room;
    uint64_t *starts; /* of windows */
    size_t starts_room;
} tokens;

static int make_room(tokens *t, size_t n)
{
    if (n <= t->room)
        return 0;
    uint32_t *ids = realloc(t->ids, 2 * n * sizeof *ids);
    t->ids = ids != NULL ? ids : t->ids;
    uint32_t *offsets = realloc(t->offsets, 4 * n * sizeof *offsets);
    t->offsets = offsets != NULL ? offsets : t->offsets;
    uint8_t *types = realloc(t->types, 2 * n);
    t->types = types != NULL ? types : t->types;
    if (ids == NULL || offsets == NULL || types == NULL)
        return failed("no memory for %zu tokens", n);
    t->room = 2 * n;
    return 0;
}

/* Tokens [from, to) as an object without its end. */
static void print_tokens(const tokens *t, size_t from, size_t to, int pair)
{
    fputs("{\"ids\":[", stdout);
    for (size_t i = from; i < to; i++)
        printf("%s%u", i != from ? "," : "", t->ids[i]);
    fputs("],\"tokens\":[", stdout);
    for (size_t i = from; i < to; i++) {
        size_t length = 0;
        const char *piece = ecrec_token_text(t->model, t->ids[i], &length);
        fputs(i != from ? "," : "", stdout);
        print_json_string(stdout, piece != NULL ? piece : "", length);
    }
    fputs("],\"offsets\":[", stdout);
    for (size_t i = from; i < to; i++)
        printf("%s[%u,%u]", i != from ? "," : "", t->offsets[2 * i], t->offsets[2 * i + 1]);
    fputs(pair ? "],\"types\":[" : "]", stdout);
    for (size_t i = from; pair && i < to; i++)
        printf("%s%u", i != from ? "," : "", t->types[i]);
    fputs(pair ? "]" : "", stdout);
}

/* A line's first text; its second one, behind a tab, goes into the options. */
static size_t split_pair(const lines *input, int pairs, ecrec_tokenize_options *o)
{
    const char *tab = pairs ? memchr(input->line, '\t', input->length) : NULL;
    o->pair = tab != NULL ? tab + 1 : NULL;
    o->pair_length = tab != NULL ? input->length - (size_t)(tab + 1 - input->line) : 0;
    return tab != NULL ? (size_t)(tab - input->line) : input->length;
}

static int32_t tokenize_line(tokens *t, const lines *input, ecrec_tokenize_options *o, int pairs, ecrec_error *err)
{
    size_t n = 0, length = split_pair(input, pairs, o);
    for (int again = 0; again < 2; again++) { /* the first look tells how much is needed */
        const int32_t status = ecrec_tokenize(t->model, t->session, input->line, length, o, t->ids, t->offsets, t->types, t->room, &n, err);
        if (status != ECREC_OK && status != ECREC_ERR_TOO_SMALL)
            return status;
        if (n <= t->room)
            break;
        if (make_room(t, n) != 0)
            return ECREC_ERR_NOMEM;
    }
    print_tokens(t, 0, n, pairs);
    puts("}");
    return ECREC_OK;
}

static int make_windows(tokens *t, size_t n)
{
    if (n < t->starts_room)
        return 0;
    uint64_t *starts = realloc(t->starts, (2 * n + 1) * sizeof *starts);
    if (starts == NULL)
        return failed("no memory for %zu windows", n);
    t->starts = starts;
    t->starts_room = 2 * n + 1;
    return 0;
}

/* A line of the output for each window. */
static int32_t window_line(tokens *t, const lines *input, ecrec_tokenize_options *o, int pairs, ecrec_error *err)
{
    size_t windows = 0, n = 0, length = split_pair(input, pairs, o);
    for (int again = 0; again < 2; again++) {
        const int32_t status = ecrec_tokenize_windows(t->model, t->session, input->line, length, o, t->ids, t->offsets, t->types, t->room, t->starts,
                                                      t->starts_room != 0 ? t->starts_room - 1 : 0, &windows, &n, err);
        if (status == ECREC_OK && t->starts != NULL)
            break;
        if (status != ECREC_OK && status != ECREC_ERR_TOO_SMALL)
            return status;
        if (make_room(t, n + 1) != 0 || make_windows(t, windows) != 0)
            return ECREC_ERR_NOMEM;
    }
    for (size_t w = 0; w < windows; w++) {
        print_tokens(t, (size_t)t->starts[w], (size_t)t->starts[w + 1], pairs);
        printf(",\"row\":%llu,\"window\":%zu}\n", (unsigned long long)input->number - 1, w);
    }
    return ECREC_OK;
}

/* Numbers between brackets, or the whole line; -1: something else is there, or no token of the model, told in the message. */
static long read_ids(tokens *t, const char *line, size_t length, ecrec_error *err)
{
    const uint32_t size = ecrec_vocabulary_size(t->model);
    const char *open = memchr(line, '[', length), *end = line + length;
    const char *at = open != NULL ? open + 1 : line;
    long n = 0;
    snprintf(err->message, sizeof err->message, "the line is no list of token ids (\"[101, 2417]\" or {\"ids\":[101,2417]})");
    if (open != NULL && (end = memchr(at, ']', (size_t)(end - at))) == NULL)
        return -1;
    while (at < end) {
        unsigned long long value = 0;
        if (*at == ' ' || *at == ',' || *at == '\t' || *at == '\r') {
            at++;
            continue;
        }
        if (*at < '0' || *at > '9')
            return -1;
        const char *digits = at;
        for (; at < end && *at >= '0' && *at <= '9'; at++)
            value = value <= UINT32_MAX ? value * 10 + (unsigned long long)(*at - '0') : value;
        if (value >= size) {
            snprintf(err->message, sizeof err->message, "token %ld: token id %.*s is not below the vocabulary's %u", n, (int)(at - digits < 30 ? at - digits : 30), digits, size);
            return -1;
        }
        if (make_room(t, (size_t)n + 1) != 0) {
            snprintf(err->message, sizeof err->message, "no memory for %ld tokens", n + 1);
            return -1;
        }
        t->ids[n++] = (uint32_t)value;
    }
    return n;
}

static int32_t decode_line(tokens *t, const lines *input, int special, ecrec_error *err)
{
    size_t length = 0;
    const long n = read_ids(t, input->line, input->length, err);
    if (n < 0)
        return ECREC_ERR_FORMAT;
    for (int again = 0; again < 2; again++) {
        const int32_t status = ecrec_detokenize(t->model, t->session, t->ids, (size_t)n, !special, t->text, t->text_room, &length, err);
        if (status != ECREC_OK && status != ECREC_ERR_TOO_SMALL)
            return status;
        if (t->text != NULL && length <= t->text_room)
            break;
        char *text = realloc(t->text, 2 * length + 256);
        if (text == NULL) {
            (void)failed("no memory for a text of %zu bytes", length);
            return ECREC_ERR_NOMEM;
        }
        t->text = text;
        t->text_room = 2 * length + 256;
    }
    fwrite(t->text, 1, length, stdout);
    putchar('\n');
    return ECREC_OK;
}

int command_tokenize(int argc, char **argv)
{
    static const char *const known[] = { "input=", "max-length=", "no-special", "pairs", "decode", "special", "windows", "stride=", "threads=", NULL };
    arguments a;
    double length = 0, stride = 0;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_tokenize_options options = ECREC_TOKENIZE_OPTIONS_INIT;
    tokens t = { NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL, 0 };
    lines input;
    int code = arguments_parse(&a, argc, argv, known, 1, 1), more = 0;
    if (code == 0)
        code = argument_count(&a, "max-length", 0, 1, 4e9, &length);
    if (code == 0)
        code = argument_count(&a, "stride", 0, 0, 4e9, &stride);
    if (code == 0 && has(&a, "stride") && !has(&a, "windows"))
        code = usage_error("tokenize", "--stride goes with --windows");
    if (code != 0)
        return code;
    options.max_length = length != 0 ? (uint32_t)length : has(&a, "windows") ? UINT32_MAX : 0;
    options.stride = has(&a, "stride") && stride == 0 ? UINT32_MAX : (uint32_t)stride;
    options.no_special = (uint32_t)has(&a, "no-special");
    ecrec_context *context = open_context(&a);
    t.model = context != NULL ? open_model(context, a.positional[0]) : NULL;
    code = EXIT_FAILED;
    if (t.model == NULL || lines_open(&input, argument(&a, "input", NULL)) != 0)
        goto done;
    int32_t status = ecrec_session_create(t.model, NULL, &t.session, &err);
    while (status == ECREC_OK && (more = lines_next(&input)) == 1)
        status = has(&a, "decode")  ? decode_line(&t, &input, has(&a, "special"), &err) :
                 has(&a, "windows") ? window_line(&t, &input, &options, has(&a, "pairs"), &err) :
                                      tokenize_line(&t, &input, &options, has(&a, "pairs"), &err);
    if (status != ECREC_OK)
        (void)failed("%s:%llu: %s", input.name, (unsigned long long)input.number, err.message);
    else if (more == 0)
        code = output_close(stdout, NULL);
    lines_close(&input);
done:
    free(t.ids);
    free(t.offsets);
    free(t.types);
    free(t.text);
    free(t.starts);
    ecrec_session_release(t.session);
    ecrec_model_release(t.model);
    ecrec_context_release(context);
    return code;
}
