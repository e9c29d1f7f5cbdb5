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

static void print_tokens(const tokens *t, size_t n, int pair)
{
    fputs("{\"ids\":[", stdout);
    for (size_t i = 0; i < n; i++)
        printf("%s%u", i != 0 ? "," : "", t->ids[i]);
    fputs("],\"tokens\":[", stdout);
    for (size_t i = 0; i < n; i++) {
        size_t length = 0;
        const char *piece = ecrec_token_text(t->model, t->ids[i], &length);
        fputs(i != 0 ? "," : "", stdout);
        print_json_string(stdout, piece != NULL ? piece : "", length);
    }
    fputs("],\"offsets\":[", stdout);
    for (size_t i = 0; i < n; i++)
        printf("%s[%u,%u]", i != 0 ? "," : "", t->offsets[2 * i], t->offsets[2 * i + 1]);
    fputs("]", stdout);
    for (size_t i = 0; pair && i < n; i++)
        printf("%s%u", i != 0 ? "," : ",\"types\":[", t->types[i]);
    puts(pair ? "]}" : "}");
}

static int32_t tokenize_line(tokens *t, const lines *input, ecrec_tokenize_options *o, int pairs, ecrec_error *err)
{
    size_t n = 0, length = input->length;
    const char *tab = pairs ? memchr(input->line, '\t', length) : NULL;
    o->pair = NULL;
    o->pair_length = 0;
    if (tab != NULL) {
        o->pair = tab + 1;
        o->pair_length = length - (size_t)(tab + 1 - input->line);
        length = (size_t)(tab - input->line);
    }
    for (int again = 0; again < 2; again++) { /* the first look tells how much is needed */
        const int32_t status = ecrec_tokenize(t->model, t->session, input->line, length, o, t->ids, t->offsets, t->types, t->room, &n, err);
        if (status != ECREC_OK && status != ECREC_ERR_TOO_SMALL)
            return status;
        if (n <= t->room)
            break;
        if (make_room(t, n) != 0)
            return ECREC_ERR_NOMEM;
    }
    print_tokens(t, n, pairs);
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
    static const char *const known[] = { "input=", "max-length=", "no-special", "pairs", "decode", "special", "threads=", NULL };
    arguments a;
    double length = 0;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_tokenize_options options = ECREC_TOKENIZE_OPTIONS_INIT;
    tokens t = { NULL, NULL, NULL, NULL, NULL, 0, NULL, 0 };
    lines input;
    int code = arguments_parse(&a, argc, argv, known, 1, 1), more = 0;
    if (code == 0)
        code = argument_count(&a, "max-length", 0, 1, 4e9, &length);
    if (code != 0)
        return code;
    options.max_length = (uint32_t)length;
    options.no_special = (uint32_t)has(&a, "no-special");
    ecrec_context *context = open_context(&a);
    t.model = context != NULL ? open_model(context, a.positional[0]) : NULL;
    code = EXIT_FAILED;
    if (t.model == NULL || lines_open(&input, argument(&a, "input", NULL)) != 0)
        goto done;
    int32_t status = ecrec_session_create(t.model, NULL, &t.session, &err);
    while (status == ECREC_OK && (more = lines_next(&input)) == 1)
        status = has(&a, "decode") ? decode_line(&t, &input, has(&a, "special"), &err) : tokenize_line(&t, &input, &options, has(&a, "pairs"), &err);
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
    ecrec_session_release(t.session);
    ecrec_model_release(t.model);
    ecrec_context_release(context);
    return code;
}
