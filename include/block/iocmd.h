/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disk exerciser's commands ("write -P 1 0 64k", "map", ...) as a library,
 * for qemu-io and for the human monitor. Main thread, outside coroutines. They
 * print results on stdout.
 */
#ifndef BLOCK_IOCMD_H
#define BLOCK_IOCMD_H

#include "block/block-backend.h"

typedef struct IoCommand {
    const char *name, *alias;
    const char *args;               /* "[-q] off len"; NULL: none */
    const char *brief;
    int min_args, max_args;         /* of what follows the name; -1: any number */
    bool needs_image, writes;
    /* @argc and @argv as for main(). 0 or -errno after a message. */
    int (*run)(BlockBackend *blk, int argc, char **argv);
    const char *help;               /* more lines, or NULL */
} IoCommand;

/* Add a program's own commands. The table lives for ever; it ends with a NULL name. */
void iocmd_add_table(const IoCommand *table);
/* One line; @blk may be NULL. 0 or -errno; an empty line is fine. */
int iocmd_run(BlockBackend *blk, const char *line);
/* Buffers are not aligned as O_DIRECT wants them. */
void iocmd_set_misaligned(bool on);

/* ---- for the commands ---- */

/* Prints the command's line of usage; -EINVAL. */
int iocmd_usage(const IoCommand *c);
const IoCommand *iocmd_find(const char *name);
void iocmd_foreach(void (*fn)(const IoCommand *c, void *opaque), void *opaque);
/* A size, or -errno after a message. */
int64_t iocmd_number(const char *text);
/* "64 KiB", "1.500 KiB", "12 bytes" into @buf. */
void iocmd_size_text(double bytes, char *buf, size_t len);

/* Tables of the library's files. */
extern const IoCommand iocmd_rw_table[], iocmd_image_table[];
/* Wait for what aio_read and aio_write began. */
void iocmd_aio_flush(BlockBackend *blk);

#endif
