/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of qemu-img. Each returns the exit status. Main thread. */
#ifndef TOOLS_IMG_IMG_H
#define TOOLS_IMG_IMG_H

#include <getopt.h>
#include "../common.h"

/* Options that many commands have, under the letters that they have everywhere. */
typedef struct ImgArgs {
    const char *format;             /* -f */
    const char *cache, *src_cache;  /* -t, -T */
    bool image_opts, force_share, progress, quiet;
    bool json;                      /* --output=json */
} ImgArgs;

enum { IMG_OPT_OBJECT = 256, IMG_OPT_IMAGE_OPTS, IMG_OPT_OUTPUT, IMG_OPT_OWN };

/* For option tables: the long forms of what img_option() handles. */
#define IMG_LONG_HELP { "help", no_argument, NULL, 'h' }
#define IMG_LONG_OBJECT { "object", required_argument, NULL, IMG_OPT_OBJECT }
#define IMG_LONG_IMAGE_OPTS { "image-opts", no_argument, NULL, IMG_OPT_IMAGE_OPTS }
#define IMG_LONG_OUTPUT { "output", required_argument, NULL, IMG_OPT_OUTPUT }
#define IMG_LONG_FORCE_SHARE { "force-share", no_argument, NULL, 'U' }

/*
 * The next option that the command handles itself; -1 at the end; '?' after a message. @shorts has
 * no leading colon and no 'h'.
 */
int img_option(ImgArgs *a, int argc, char **argv, const char *shorts, const struct option *longs);
/* The words after the options; -1 after a message when their number is not within min and max. */
int img_operands(int argc, int min, int max, const char *expecting);
/* -t or -T into *@flags; false after a message. */
bool img_cache(const char *mode, bool is_source, unsigned *flags, bool *writethrough);
BlockBackend *img_open(const ImgArgs *a, const char *name, const char *format, unsigned flags,
                       bool writethrough);
void img_print_help(void);
/* JSON as the tools print it. */
void img_print_json(const JsonValue *json);

int img_amend(int argc, char **argv);
int img_bench(int argc, char **argv);
int img_bitmap(int argc, char **argv);
int img_check(int argc, char **argv);
int img_commit(int argc, char **argv);
int img_compare(int argc, char **argv);
int img_convert(int argc, char **argv);
int img_create(int argc, char **argv);
int img_dd(int argc, char **argv);
int img_info(int argc, char **argv);
int img_map(int argc, char **argv);
int img_measure(int argc, char **argv);
int img_rebase(int argc, char **argv);
int img_resize(int argc, char **argv);
int img_snapshot(int argc, char **argv);

/* info.c: the table of "Snapshot list:", for info and snapshot -l. */
void img_print_snapshots(const SnapshotInfoList *list);

/* snapshot.c: -l SNAPSHOT: an id or name, or "snapshot.id=...", "snapshot.name=...". */
bool img_load_snapshot(BlockBackend *blk, const char *text, Error **errp);

#endif
