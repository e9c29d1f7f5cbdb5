/* A session: one caller's scratch and its hazard pointer. */
#ifndef ECREC_LIB_SESSION_H
#define ECREC_LIB_SESSION_H

#include "encoder/embed.h"
#include "model/model.h"
#include "rank/ranker.h"

struct ecrec_session {
    ecrec_model *model; /* referenced */
    hazard reading;
    embed *embed;         /* NULL: the model has no encoder */
    score_scratch *score; /* NULL: the model is no ranker */
    token_work *words;    /* of the tokenizer where there is no embed to share it with */
};

/* Views of a model's parts: the setup of model_create. */
int32_t model_setup(ecrec_model *model, ecrec_error *err);

/* The prompt that a name (NULL: the model's default) stands for; *text NULL when there is none. NOT_FOUND. */
int32_t model_prompt(const ecrec_model *model, const char *name, const char **text, size_t *length, ecrec_error *err);

/* Everything that ecrec_model_info tells. */
int32_t model_describe(ecrec_model *model, ecrec_report **report, ecrec_error *err);

#endif
