/* Records to probabilities, and why: a ranker over a category, a number and a text, without a pretrained model.
 *
 *   score      makes a ranker, teaches it 200 made-up rows, scores three and says what each field gave */
#include <stdio.h>
#include <string.h>

#include <ecrec/ecrec.h>

enum { ROWS = 200, FIELDS = 3 };
#define TRY(call) do { if ((call) != ECREC_OK) { fprintf(stderr, "score: %s\n", err.message); return 1; } } while (0)

int main(void)
{
    static const char schema_text[] =
        "{\"fields\": [{\"name\": \"title\", \"kind\": \"text\", \"no_encoding\": true, \"word_ngrams\": 1},"
        "              {\"name\": \"shop\",  \"kind\": \"category\"},"
        "              {\"name\": \"price\", \"kind\": \"number\"}],"
        " \"labels\": [{\"name\": \"click\"}], \"hash_bits\": 12}";
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_schema *schema = NULL;
    ecrec_model *ranker = NULL;
    ecrec_session *session = NULL;
    ecrec_batch *batch = NULL;
    TRY(ecrec_context_create(NULL, &context, &err));
    TRY(ecrec_schema_parse(context, schema_text, sizeof schema_text - 1, &schema, &err));
    TRY(ecrec_ranker_create(context, NULL, schema, &ranker, &err));
    TRY(ecrec_session_create(ranker, NULL, &session, &err));
    TRY(ecrec_batch_create(schema, &batch, &err));

    /* in this shop people click on cheap things and on red ones */
    static const char *const titles[] = { "red shoes", "blue shoes", "red shirt", "green hat" };
    static const char *const shops[] = { "north", "south" };
    const char *title[ROWS], *shop[ROWS];
    size_t title_length[ROWS], shop_length[ROWS];
    double price[ROWS];
    float click[ROWS];
    for (int i = 0; i < ROWS; i++) {
        title[i] = titles[i % 4];
        title_length[i] = strlen(title[i]);
        shop[i] = shops[i / 4 % 2];
        shop_length[i] = strlen(shop[i]);
        price[i] = 10 + i * 7 % 90;
        click[i] = (float)(price[i] < 40 || (i % 4 % 2 == 0 && price[i] < 80));
    }
    TRY(ecrec_batch_reset(batch, ROWS, &err));
    TRY(ecrec_batch_set_text(batch, 0, title, title_length, &err));
    TRY(ecrec_batch_set_category(batch, 1, shop, shop_length, &err));
    TRY(ecrec_batch_set_number(batch, 2, price, NULL, &err));
    TRY(ecrec_batch_set_label(batch, 0, click, NULL, &err));
    TRY(ecrec_update(ranker, batch, NULL, NULL, &err));

    /* three rows to score; the price of the last one is not known, which is not the same as 0 */
    const uint8_t known[3] = { 1, 1, 0 };
    double asked[3] = { 15, 95, 0 };
    float scores[3], parts[3][FIELDS + 1];
    ecrec_score_options options = ECREC_SCORE_OPTIONS_INIT;
    options.contributions = &parts[0][0];
    options.contributions_capacity = 3 * (FIELDS + 1);
    TRY(ecrec_batch_reset(batch, 3, &err));
    TRY(ecrec_batch_set_text(batch, 0, title, title_length, &err));
    TRY(ecrec_batch_set_category(batch, 1, shop, shop_length, &err));
    TRY(ecrec_batch_set_number(batch, 2, asked, known, &err));
    TRY(ecrec_score(ranker, session, batch, &options, scores, 3, &err));
    for (int i = 0; i < 3; i++)
        printf("%-10s %s  click %.3f  because of title %+.2f, shop %+.2f, price %+.2f, always %+.2f\n", title[i], known[i] ? (i ? "95" : "15") : " ?",
               (double)scores[i], (double)parts[i][0], (double)parts[i][1], (double)parts[i][2], (double)parts[i][3]);

    ecrec_batch_release(batch);
    ecrec_session_release(session);
    ecrec_model_release(ranker);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
    return 0;
}
