/* import, info, prune, quantize */
#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int command_import(int argc, char **argv)
{
    static const char *const known[] = { "output=", "max-length=", "heads=", "tower=", "check", "json", "threads=", NULL };
    arguments a;
    double length = 0, heads = 0;
    progress p;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_import_options options = ECREC_IMPORT_OPTIONS_INIT;
    ecrec_model *model = NULL;
    ecrec_report *report = NULL;
    int code = arguments_parse(&a, argc, argv, known, 1, 1);
    if (code == 0)
        code = argument_count(&a, "max-length", 0, 1, 1 << 20, &length);
    if (code == 0)
        code = argument_count(&a, "heads", 0, 1, 4096, &heads);
    if (code != 0)
        return code;
    const char *to = argument(&a, "output", NULL), *tower = argument(&a, "tower", "text");
    if (strcmp(tower, "text") != 0 && strcmp(tower, "image") != 0)
        return usage_error("import", "--tower is \"%s\"; it must be text or image", tower);
    options.tower = strcmp(tower, "image") == 0 ? ECREC_TOWER_IMAGE : ECREC_TOWER_TEXT;
    options.heads = (uint32_t)heads;
    options.check_only = has(&a, "check");
    if (to == NULL && !options.check_only)
        return usage_error("import", "-o MODEL.ecrec is missing");
    ecrec_context *context = open_context(&a);
    if (context == NULL)
        return EXIT_FAILED;
    options.max_length = (uint32_t)length;
    options.progress = progress_step;
    options.progress_opaque = &p;
    progress_begin(&p, "import", "MB", 1e-6);
    int32_t status = ecrec_model_import(context, a.positional[0], &options, &model, &report, &err);
    progress_end(&p);
    if (status == ECREC_OK && model != NULL)
        status = ecrec_model_save(model, to, &err);
    if (status == ECREC_OK)
        code = print_report(&a, report);
    else if (strncmp(err.message, a.positional[0], strlen(a.positional[0])) == 0)
        code = failed_with(&err);
    else
        code = failed("%s: %s", a.positional[0], err.message); /* the library names the file, not the folder */
    ecrec_model_release(model);
    ecrec_context_release(context);
    return code;
}

int command_info(int argc, char **argv)
{
    static const char *const known[] = { "json", "cpu", "threads=", NULL };
    arguments a;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *report = NULL;
    int code = arguments_parse(&a, argc, argv, known, 0, 1);
    if (code == 0 && a.positionals == 0 && !has(&a, "cpu"))
        code = usage_error("info", "the model file is missing");
    if (code != 0)
        return code;
    ecrec_context *context = open_context(&a);
    if (context != NULL && has(&a, "cpu")) {
        puts(ecrec_context_cpu_text(context));
        if (a.positionals == 0) {
            ecrec_context_release(context);
            return EXIT_DONE;
        }
    }
    ecrec_model *model = context != NULL ? open_model(context, a.positional[0]) : NULL;
    code = EXIT_FAILED;
    if (model != NULL)
        code = ecrec_model_info(model, &report, &err) == ECREC_OK ? print_report(&a, report) : failed_with(&err);
    ecrec_model_release(model);
    ecrec_context_release(context);
    return code;
}

static int finish_smaller(const arguments *a, int32_t status, ecrec_model *smaller, ecrec_report *report, ecrec_error *err)
{
    if (status == ECREC_OK)
        status = ecrec_model_save(smaller, argument(a, "output", NULL), err);
    if (status != ECREC_OK)
        ecrec_report_release(report);
    ecrec_model_release(smaller);
    return status == ECREC_OK ? print_report(a, report) : failed_with(err);
}

/* An amount is a share below 1 or a whole number of what there are; else it is told. */
static int check_amount(const char *option, double amount, double most, const char *what)
{
    if (amount < 1 || (amount == floor(amount) && amount < most))
        return EXIT_DONE;
    if (amount != floor(amount))
        return usage_error("prune", "--%s is %g; it must be a share below 1 or a whole number of %s", option, amount, what);
    return failed("--%s is %.0f and the model has %.0f %s%s", option, amount, most, what, amount == most ? ": nothing would be left" : "");
}

/* Below 1 a share, from 1 on a number, which the library wants as a share of all there are (and of layers as a number). */
static int prune_amounts(ecrec_model *model, double heads, double channels, double layers, ecrec_prune_options *options)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *info = NULL;
    double count = 0, all_heads = 0, all_channels = 0;
    if (ecrec_model_dimension(model) == 0) {
        options->heads = 0.5; /* the library says why not */
        return EXIT_DONE;
    }
    int32_t status = ecrec_model_info(model, &info, &err);
    if (status == ECREC_OK)
        status = ecrec_report_number(info, "encoder.layer_count", &count, &err);
    for (unsigned l = 0; status == ECREC_OK && l < (unsigned)count; l++) {
        char name[64];
        double value = 0;
        snprintf(name, sizeof name, "encoder.layers.%u.heads", l);
        if ((status = ecrec_report_number(info, name, &value, &err)) == ECREC_OK)
            all_heads += value;
        snprintf(name, sizeof name, "encoder.layers.%u.feed_forward", l);
        if (status == ECREC_OK && (status = ecrec_report_number(info, name, &value, &err)) == ECREC_OK)
            all_channels += value;
    }
    ecrec_report_release(info);
    if (status != ECREC_OK)
        return failed_with(&err);
    int code;
    if ((code = check_amount("layers", layers, count, "layers")) != EXIT_DONE || (code = check_amount("heads", heads, all_heads, "heads")) != EXIT_DONE ||
        (code = check_amount("ffn", channels, all_channels, "feed-forward channels")) != EXIT_DONE)
        return code;
    options->layers = (uint32_t)(layers < 1 ? floor(layers * count + 0.5) : layers);
    const double stay = options->layers < count ? (count - options->layers) / count : 1; /* layers go first */
    options->heads = heads < 1 ? heads : heads / (all_heads * stay);
    options->feed_forward = channels < 1 ? channels : channels / (all_channels * stay);
    return EXIT_DONE;
}

int command_prune(int argc, char **argv)
{
    static const char *const known[] = { "heads=", "ffn=", "layers=", "importance=", "parameters=", "flops=", "input=", "output=", "json", "threads=", NULL };
    static const char *const kinds[] = { "default", "magnitude", "activation", "taylor" };
    arguments a;
    double heads = 0, channels = 0, layers = 0;
    progress p;
    texts t = { NULL, NULL, NULL, 0 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_prune_options options = ECREC_PRUNE_OPTIONS_INIT;
    ecrec_model *smaller = NULL;
    ecrec_report *report = NULL;
    int code = arguments_parse(&a, argc, argv, known, 1, 1);
    if (code != 0 || (code = argument_number(&a, "heads", 0, 0, 1e6, &heads)) != 0 || (code = argument_number(&a, "ffn", 0, 0, 1e9, &channels)) != 0 ||
        (code = argument_number(&a, "layers", 0, 0, 1e6, &layers)) != 0 || (code = argument_number(&a, "parameters", 0, 0, 1e15, &options.target_parameters)) != 0 ||
        (code = argument_number(&a, "flops", 0, 0, 1e18, &options.target_flops)) != 0)
        return code;
    const char *kind = argument(&a, "importance", "default");
    options.importance = -1;
    for (int i = 0; i < 4; i++)
        if (strcmp(kinds[i], kind) == 0)
            options.importance = i;
    if (options.importance < 0)
        return usage_error("prune", "--importance must be magnitude, activation or taylor");
    if (!has(&a, "output"))
        return usage_error("prune", "-o MODEL.ecrec is missing");
    if (heads + channels + layers + options.target_parameters + options.target_flops == 0)
        return usage_error("prune", "say what to remove: --heads, --ffn, --layers, --parameters or --flops");
    ecrec_context *context = open_context(&a);
    ecrec_model *model = context != NULL ? open_model(context, a.positional[0]) : NULL;
    code = EXIT_FAILED;
    if (model == NULL || (has(&a, "input") && texts_read(argument(&a, "input", NULL), &t) != 0))
        goto done;
    if ((code = prune_amounts(model, heads, channels, layers, &options)) != EXIT_DONE)
        goto done;
    code = EXIT_FAILED;
    options.texts = t.at;
    options.lengths = t.lengths;
    options.count = t.count;
    options.progress = progress_step;
    options.progress_opaque = &p;
    progress_begin(&p, "prune", "steps", 1);
    const int32_t status = ecrec_prune(model, &options, &smaller, &report, &err);
    progress_end(&p);
    code = finish_smaller(&a, status, smaller, report, &err);
done:
    texts_free(&t);
    ecrec_model_release(model);
    ecrec_context_release(context);
    return code;
}

int command_quantize(int argc, char **argv)
{
    static const char *const known[] = { "type=", "input=", "output=", "json", "threads=", NULL };
    arguments a;
    progress p;
    texts t = { NULL, NULL, NULL, 0 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_quantize_options options = ECREC_QUANTIZE_OPTIONS_INIT;
    ecrec_model *smaller = NULL;
    ecrec_report *report = NULL;
    int code = arguments_parse(&a, argc, argv, known, 1, 1);
    if (code != 0)
        return code;
    const char *type = argument(&a, "type", "s8");
    if (strcmp(type, "s8") != 0 && strcmp(type, "s4") != 0 && strcmp(type, "bf16") != 0)
        return usage_error("quantize", "--type is \"%s\"; there are bf16, s8 and s4", type);
    if (!has(&a, "output"))
        return usage_error("quantize", "-o MODEL.ecrec is missing");
    ecrec_context *context = open_context(&a);
    ecrec_model *model = context != NULL ? open_model(context, a.positional[0]) : NULL;
    code = EXIT_FAILED;
    if (model == NULL || (has(&a, "input") && texts_read(argument(&a, "input", NULL), &t) != 0))
        goto done;
    options.type = strcmp(type, "s4") == 0 ? ECREC_TYPE_S4 : strcmp(type, "bf16") == 0 ? ECREC_TYPE_BF16 : ECREC_TYPE_S8;
    options.texts = t.at;
    options.lengths = t.lengths;
    options.count = t.count;
    options.progress = progress_step;
    options.progress_opaque = &p;
    progress_begin(&p, "quantize", "steps", 1);
    const int32_t status = ecrec_quantize(model, &options, &smaller, &report, &err);
    progress_end(&p);
    code = finish_smaller(&a, status, smaller, report, &err);
done:
    texts_free(&t);
    ecrec_model_release(model);
    ecrec_context_release(context);
    return code;
}
