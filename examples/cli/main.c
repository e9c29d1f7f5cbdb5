/* ecrec: the library from the command line, for people who look before they program. */
#include "tool.h"

#include <string.h>

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *line, *help;
} command;

static const command commands[] = {
    { "import", command_import, "make a model of a Hugging Face folder",
      "ecrec import FOLDER -o MODEL.ecrec [--max-length TOKENS] [--tower text|image] [--heads N] [--check] [--json]\n"
      "  FOLDER        config.json, model.safetensors (or several and their index), tokenizer.json or vocab.txt,\n"
      "                sentence-transformers files; a sequence encoder of items needs its safetensors alone\n"
      "  --max-length  cut texts to so many tokens (default: what the folder says)\n"
      "  --tower       which encoder of a folder that has two (CLIP; default: text)\n"
      "  --heads       attention heads of a sequence encoder that has no config.json (default: 2)\n"
      "  --check       only say what would happen\n" },
    { "info", command_info, "what a model is: shapes, sizes, fingerprint, source, licence",
      "ecrec info MODEL.ecrec [--json]\n"
      "ecrec info --cpu\n"
      "  --cpu         the processor: which levels of instructions it has, which was chosen and why\n" },
    { "bench", command_bench, "how long this model takes on this machine, and what to do about it",
      "ecrec bench MODEL.ecrec [--seconds S] [--json]\n"
      "  --seconds     for all of it (default 16); other programs that run meanwhile are part of the figures\n" },
    { "tokenize", command_tokenize, "texts to token ids, one JSON object a line",
      "ecrec tokenize MODEL.ecrec [-i TEXTS] [--max-length TOKENS] [--no-special] [--pairs] [--windows [--stride TOKENS]]\n"
      "ecrec tokenize MODEL.ecrec --decode [-i IDS] [--special]\n"
      "  prints {\"ids\":[...],\"tokens\":[...],\"offsets\":[[begin,end],...]}; offsets are bytes of the text\n"
      "  --pairs       lines are TEXT TAB SECOND TEXT; \"types\" says which text a token is of\n"
      "  --windows     all of a text that is too long (default: for the model), in windows: a line each, with its \"row\" and \"window\"\n"
      "  --stride      tokens that a window shares with the one before (default: what the tokenizer says)\n"
      "  --decode      lines of token ids ([101,2417] or what tokenize prints) become texts; --special keeps special tokens\n" },
    { "encode", command_encode, "texts, token ids or images to vectors",
      "ecrec encode MODEL.ecrec [-i TEXTS | --ids IDS.jsonl | --pixels X.npy | --images LIST] [-o OUT] [--format npy|jsonl|f32] [--per-token]\n"
      "             [--prompt NAME] [--pooling mean|cls|last|max|end|pooler] [--no-normalize] [--max-length TOKENS]\n"
      "             [--dimensions N] [--last-layers N] [--windows [--overlap TOKENS]]\n"
      "  one text a line; npy is a NumPy file of n x d float32 (the default with -o), jsonl one array a line\n"
      "  --ids         lines of {\"input_ids\":[...],\"token_type_ids\":[...]}, special tokens already there\n"
      "  --pixels      float32 images x channels x height x width, already resized and normalised\n"
      "  --images      a PNG or JPEG file, or a list with the path of one a line: resized and normalised as the model says\n"
      "  --dimensions  keep the first so many numbers of a vector (Matryoshka models)\n"
      "  --last-layers the mean over the last so many layers\n"
      "  --windows     a text that is too long is read in windows, --overlap tokens in common, and not cut\n"
      "  --per-token   the last hidden state of every token of every row, one after the other, instead of one vector a row\n" },
    { "new", command_new, "make a ranker: a model that scores records and learns",
      "ecrec new [MODEL.ecrec] --schema SCHEMA.json -o RANKER.ecrec [--json]\n"
      "  without MODEL the ranker has no texts to encode (categories, numbers, vectors, n-grams)\n"
      "  SCHEMA.json   {\"fields\":[{\"name\":\"title\",\"kind\":\"text\"},{\"name\":\"shop\",\"kind\":\"category\"},\n"
      "                {\"name\":\"price\",\"kind\":\"number\"}],\"labels\":[{\"name\":\"click\"}]}\n" },
    { "score", command_score, "a probability for each record and label, or for each text or pair of texts",
      "ecrec score RANKER.ecrec [-i ROWS] [-o OUT] [--format tsv|jsonl] [--explain] [--logits]\n"
      "                          [--input-format auto|jsonl|csv|tsv|libsvm] [--skip-bad-rows]\n"
      "  ROWS          JSONL (an object a line), CSV or TSV with a header line, or LIBSVM; what a row lacks is missing\n"
      "  --skip-bad-rows  a row that is wrong is told and has no score, instead of ending the command; update, fit and eval\n"
      "                take both options too\n"
      "  --explain     each field's part of the logit\n"
      "ecrec score CLASSIFIER.ecrec [-i TEXTS | --ids IDS.jsonl | --pixels X.npy | --images LIST] [-o OUT] [--format tsv|jsonl] [--logits] [--max-length TOKENS]\n"
      "  TEXTS         of an imported classifier or cross-encoder: a text a line, text TAB second text, or JSONL\n"
      "                {\"text\":...,\"pair\":...}; the scores are named by the labels of its folder\n" },
    { "update", command_update, "learn from labelled records, in their order",
      "ecrec update RANKER.ecrec -i ROWS -o RANKER2.ecrec [--batch ROWS] [--passes N] [--rate ETA] [--decay LAMBDA]\n"
      "             [--max-loss-growth NATS] [--journal FILE] [--json]\n"
      "             [--events N] [--reserve ROWS] [--reservoir ROWS] [--drift] [--replay SHARE] [--max-score-move X]\n"
      "             [--max-calibration-growth X] [--force] [--forget FIELD=VALUE] [--rebin] [--expire] [--class-weights W0,W1,... [--correct-weights]]\n"
      "  --batch       rows an update (default 256; 1: one row an update)\n"
      "  --reserve, --reservoir, --events, --drift  what the ranker remembers from now on: recent rows that guard updates, rows to\n"
      "                replay, ids of events that count once, a detector of drift\n"
      "  --replay      rows of the reservoir learned from again, a row of an update\n"
      "  --max-score-move, --max-calibration-growth, --force  the guard: how far scores may move; learn though it refuses\n"
      "  --forget      before anything is learned: rows and hashed weights of one user (item, category) go\n"
      "  --rebin       before anything is learned: numbers in bins are cut anew, by those seen so far\n"
      "  --expire      before anything is learned: a period ends, and ids that were not seen in expire_after of them go\n" },
    { "delta", command_delta, "what was learned, as a file: for replicas, and of several workers one",
      "ecrec delta export RANKER.ecrec --journal FILE [--from SNAPSHOT] -o DELTA\n"
      "ecrec delta apply RANKER.ecrec DELTA ... -o RANKER2.ecrec [--json]\n"
      "ecrec delta merge RANKER.ecrec DELTA ... -o MERGED\n"
      "ecrec delta info DELTA ... [--json]\n"
      "  export        from the ranker's file (or a snapshot of the journal) to where its journal ends\n"
      "  merge         of workers that all began from this ranker\n" },
    { "fit", command_fit, "learn from labelled records over epochs, with some held out",
      "ecrec fit RANKER.ecrec -i ROWS -o RANKER2.ecrec [--epochs N] [--batch ROWS] [--seed N] [--holdout SHARE]\n"
      "          [--holdout-by time|random|FIELD] [--patience EPOCHS] [--optimiser adagrad|ftrl|adam] [--rate ETA]\n"
      "          [--embedding-rate ETA] [--network-rate ETA] [--schedule constant|linear|cosine] [--warmup SHARE]\n"
      "          [--decay LAMBDA] [--embedding-decay LAMBDA] [--network-decay LAMBDA] [--l1 L] [--dropout SHARE] [--modality-dropout SHARE]\n"
      "          [--clip NORM] [--class-weights W0,W1,... [--correct-weights]] [--calibrate platt|isotonic|temperature|none] [--checkpoint FILE] [--resume FILE] [--svg FILE] [--tensorboard DIR] [--json]\n"
      "  --holdout     rows that are not learned from: the last ones (time), any, all rows of some values of a category, user or\n"
      "                item FIELD, or those with the latest times of a time or number FIELD;\n"
      "                the epoch with the lowest loss on them is kept\n"
      "  --class-weights  what a row with 0 counts, one with 1, ...: of labels with so many outcomes; --correct-weights: the\n"
      "                probabilities stay those of the rows as they are\n"
      "  --calibrate   by the rows held out; labels that were calibrated are again without being asked (none: not)\n"
      "  --checkpoint  written after each epoch; --resume goes on from it, to the same bits\n"
      "  --svg         the losses by epoch, and how well the binary labels are calibrated\n" },
    { "calibrate", command_calibrate, "make probabilities come true, by labelled records that fit did not learn from",
      "ecrec calibrate RANKER.ecrec -i ROWS -o RANKER2.ecrec [--method platt|isotonic|temperature] [--half-life ROWS] [--frozen]\n"
      "                [--svg FILE] [--json]\n"
      "  --method      default platt, and temperature for labels of classes, which have no other\n"
      "  --half-life   updates keep it up, and what they saw counts half after so many rows (default 10000); --frozen: they do not\n"
      "  --svg         each binary label's reliability before and after\n" },
    { "tune", command_tune, "search how a ranker is best fitted: successive halving",
      "ecrec tune RANKER.ecrec -i ROWS -o BEST.ecrec [--trials N] [--epochs N] [--cut N] [--seed N] [--space SPACE.json]\n"
      "           [--metric NAME] [--log FILE.tsv] [--tensorboard DIR] [--json], and what fit takes\n"
      "  --trials      settings that are tried (default 16), --epochs for the best of them (default 9); the others stop early:\n"
      "                one of --cut (default 3) goes on to so many times more epochs. The best fit is saved\n"
      "  --space       {\"rate\": {\"log\": [0.01, 1]}, \"dropout\": {\"uniform\": [0, 0.4]}, \"batch\": {\"choice\": [128, 512]}}: searched\n"
      "                instead of the usual; what fit's own options say (--rate 0.1) is kept as it is\n"
      "  --metric      a number of fit's report (labels.click.auc) instead of the loss on the rows held out (--holdout, default 0.2)\n"
      "  --log         a line a fit as it ends; --tensorboard: event files, a folder a trial\n" },
    { "eval", command_eval, "AUC, log loss, calibration, classes, ranking on labelled records; charts",
      "ecrec eval RANKER.ecrec -i ROWS [--report text|json] [--svg FILE] [--group FIELD [--at K,K...]] [--by FIELD]\n"
      "           [--threshold P] [--bins N]\n"
      "  --svg         calibration, ROC, precision and recall of each binary label; --json is --report json\n"
      "  --group       a category field (user, impression; default: the column \"group\", if there is one): AUC within groups, and its\n"
      "                rows ranked: hit rate and NDCG at each K, MRR\n"
      "  --by          a category field: a table by its values\n"
      "  --threshold   from which probability on a row is said to be 1 (default 0.5)\n"
      "  --bins        rows of the calibration table (default 15)\n"
      "ecrec eval SEQUENCES.ecrec -i HISTORIES [--json]\n"
      "  HISTORIES     of a sequence encoder: a user and then item ids a line, oldest first; the last item is ranked among\n"
      "                all items by those before it: hit rate and NDCG at 5, 10, 20\n" },
    { "prune", command_prune, "a smaller model: fewer heads, feed-forward channels, layers",
      "ecrec prune MODEL.ecrec [--heads N] [--ffn N] [--layers N] [--parameters N] [--flops N]\n"
      "            [--importance magnitude|activation|taylor] [-i TEXTS] -o OUT.ecrec [--json]\n"
      "  --heads, --ffn, --layers  how many attention heads, feed-forward channels, layers to remove: below 1 a share\n"
      "                  of all, from 1 on a number; --parameters, --flops: remove until at most so many are left\n"
      "  -i TEXTS        sample texts: importance and the report's agreement are measured on them\n" },
    { "quantize", command_quantize, "a smaller model: weights in 8 or 4 bits, or bfloat16",
      "ecrec quantize MODEL.ecrec [--type s8|s4|bf16] [-i TEXTS] -o OUT.ecrec [--json]\n" },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static int no_command(const char *name)
{
    fprintf(stderr, "ecrec: \"%s\" is no command; there are", name);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(stderr, " %s", commands[i].name);
    fputs(" help\n", stderr);
    return EXIT_USAGE;
}

static int help(const char *name)
{
    for (int i = 0; name != NULL && i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) {
            printf("%s: %s\n\n%s", commands[i].name, commands[i].line, commands[i].help);
            puts("  --threads N     work on so many cores (default: all); \"-\" as a file is stdin or stdout");
            return output_close(stdout, NULL);
        }
    if (name != NULL)
        return no_command(name);
    puts("ecrec COMMAND ...\n");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].line);
    puts("  help      this, or help COMMAND\n\nExit: 0 done, 1 failed, 2 wrong usage.");
    return output_close(stdout, NULL);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (name == NULL) {
        (void)help(NULL);
        return EXIT_USAGE;
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(name, "--version") == 0) {
        const uint32_t v = ecrec_version();
        printf("ecrec %u.%u.%u\n", v / 1000000, v / 1000 % 1000, v % 1000);
        return EXIT_DONE;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) {
            for (int k = 2; k < argc; k++)
                if (strcmp(argv[k], "--help") == 0 || strcmp(argv[k], "-h") == 0)
                    return help(name);
            return commands[i].run(argc - 1, argv + 1);
        }
    return no_command(name);
}
