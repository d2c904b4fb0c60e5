/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of qemu-nbd share. Main thread. */
#ifndef TOOLS_NBD_NBD_H
#define TOOLS_NBD_NBD_H

#include "block/export.h"
#include "block/nbd-client.h"

typedef struct NbdToolOptions {
    /* connection */
    const char *bind, *port;    /* NULL: not given */
    char *socket;               /* path; NULL: TCP */
    uint32_t shared;            /* clients at a time; 0: any number */
    bool persistent, verbose;
    const char *export_name, *description;

    /* what of the image */
    bool has_offset;
    uint64_t offset;
    bool allocation_depth;
    GPtrArray *bitmaps;         /* of const char * */

    /* general */
    bool list, fork;
    GPtrArray *objects;         /* of const char * */
    const char *tls_creds, *tls_authz, *tls_hostname;
    const char *pid_file;

    /* kernel client */
    const char *connect, *disconnect;

    /* image */
    const char *format;         /* NULL: probe */
    bool read_only, snapshot, image_opts, has_cache, writethrough;
    const char *load_snapshot, *aio, *detect_zeroes;
    unsigned flags;             /* BLOCK_OPEN_* */
    const char *file;
} NbdToolOptions;

/* The command line; false: told already. Ends the program for --help and --version. */
bool nbd_parse_options(int argc, char **argv, NbdToolOptions *o);
/* "snapshot.id=...", "snapshot.name=..." or an id or name. Caller frees both. */
bool nbd_parse_snapshot(const char *text, char **id, char **name, Error **errp);

/* The image as asked for; NULL: told already. */
BlockNode *nbd_open_image(const NbdToolOptions *o);

/* The exports of the server at @addr, to stdout; the exit status. */
int nbd_list(const SocketAddress *addr, const NbdClientTls *tls);

/* The kernel's client (nbd.ko). */
typedef struct NbdDevice NbdDevice;
/* Opens @device; NULL: told already. */
NbdDevice *nbd_device_open(const char *device);
/* On a thread of its own, connect it to the server at @socket_path; @ended runs on the main loop when it is over. */
bool nbd_device_start(NbdDevice *d, const char *socket_path, bool verbose, void (*ended)(int status));
/* Make it let go; then @ended runs. */
void nbd_device_stop(NbdDevice *d);
int nbd_device_disconnect(const char *device);

#endif
