/* The journal: each change of a model's state as a delta behind a checksummed header, appended and synced before it is published.
 * file: header (64 bytes: magic, u32 version, u32 0, u64 base snapshot, model, base state, checksum), then records
 * (48 bytes: u32 magic, u32 kind, u64 length, u64 snapshot, payload's checksum, chain, header's checksum; then a delta).
 * chain is the checksum of the header before, so a record counts only behind the one that it was written behind. */
#ifndef ECREC_LIB_MODEL_JOURNAL_H
#define ECREC_LIB_MODEL_JOURNAL_H

#include "ecrec/delta.h"
#include "model/model.h"

#define JOURNAL_MAGIC "ECJOURN\n"
enum { JOURNAL_MAJOR = 1, JOURNAL_HEADER = 64, RECORD_HEADER = 48, RECORD_UPDATE = 1, RECORD_ROLLBACK = 2 };
#define RECORD_MAGIC 0x4C4E524Au

/* What the journal asks of the system, so that tests can let each call fail. Results as of the POSIX calls, errno set. */
typedef struct journal_io {
    void *opaque;
    int (*open)(void *opaque, const char *path, int fresh /* 1: create or empty it; 0: it must be there */);
    int64_t (*size)(void *opaque, int file);
    int64_t (*read)(void *opaque, int file, void *bytes, size_t n, uint64_t at);
    int64_t (*write)(void *opaque, int file, const void *bytes, size_t n, uint64_t at);
    int (*truncate)(void *opaque, int file, uint64_t length);
    int (*sync)(void *opaque, int file);
    int (*lock)(void *opaque, int file);
    int (*rename)(void *opaque, const char *from, const char *to);
    int (*sync_folder)(void *opaque, const char *path, char *work /* as long as path, + 2 */); /* 0: not possible */
    int32_t (*save)(void *opaque, const parts *p, const char *path, ecrec_error *err);
    void (*close)(void *opaque, int file);
} journal_io;
extern const journal_io journal_files;

/* Between model_update_begin and _end: as the public calls say. */
int32_t journal_open(ecrec_model *model, const char *path, const ecrec_journal_options *options, const journal_io *io, ecrec_report **report,
                     ecrec_error *err);
int32_t journal_append(ecrec_model *model, uint32_t kind, const snapshot *before, const snapshot *after, ecrec_error *err);
int32_t journal_sync(ecrec_model *model, ecrec_error *err);
int32_t journal_compact(ecrec_model *model, const char *model_path, ecrec_error *err);
int32_t journal_close(ecrec_model *model, ecrec_error *err); /* without a journal: OK */

#endif
