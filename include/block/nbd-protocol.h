/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The NBD protocol, fixed newstyle with structured replies: numbers on the wire
 * (the protocol document of the NBD project, "proto.md"). All integers are
 * big-endian.
 */
#ifndef BLOCK_NBD_PROTOCOL_H
#define BLOCK_NBD_PROTOCOL_H

#include "util/osdep.h"
#include "util/bswap.h"

#define NBD_DEFAULT_PORT "10809"
#define NBD_MAX_STRING 4096             /* of names and descriptions, in bytes */
#define NBD_MAX_REQUEST (32 * 1024 * 1024)

#define NBD_MAGIC UINT64_C(0x4e42444d41474943)              /* "NBDMAGIC" */
#define NBD_OPTION_MAGIC UINT64_C(0x49484156454f5054)       /* "IHAVEOPT" */
#define NBD_OLDSTYLE_MAGIC UINT64_C(0x00420281861253)
#define NBD_OPTION_REPLY_MAGIC UINT64_C(0x3e889045565a9)
#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_SIMPLE_REPLY_MAGIC 0x67446698u
#define NBD_STRUCTURED_REPLY_MAGIC 0x668e33efu

enum { NBD_FLAG_FIXED_NEWSTYLE = 1, NBD_FLAG_NO_ZEROES = 2 };       /* server's and client's handshake flags */

typedef enum NbdOption {
    NBD_OPT_EXPORT_NAME = 1, NBD_OPT_ABORT, NBD_OPT_LIST, NBD_OPT_PEEK_EXPORT, NBD_OPT_STARTTLS, NBD_OPT_INFO,
    NBD_OPT_GO, NBD_OPT_STRUCTURED_REPLY, NBD_OPT_LIST_META_CONTEXT, NBD_OPT_SET_META_CONTEXT,
} NbdOption;

#define NBD_REP_ERROR(n) (UINT32_C(1) << 31 | (n))
enum {
    NBD_REP_ACK = 1, NBD_REP_SERVER = 2, NBD_REP_INFO = 3, NBD_REP_META_CONTEXT = 4,
    NBD_REP_ERR_UNSUP = (int)NBD_REP_ERROR(1), NBD_REP_ERR_POLICY = (int)NBD_REP_ERROR(2),
    NBD_REP_ERR_INVALID = (int)NBD_REP_ERROR(3), NBD_REP_ERR_PLATFORM = (int)NBD_REP_ERROR(4),
    NBD_REP_ERR_TLS_REQD = (int)NBD_REP_ERROR(5), NBD_REP_ERR_UNKNOWN = (int)NBD_REP_ERROR(6),
    NBD_REP_ERR_SHUTDOWN = (int)NBD_REP_ERROR(7), NBD_REP_ERR_BLOCK_SIZE_REQD = (int)NBD_REP_ERROR(8),
    NBD_REP_ERR_TOO_BIG = (int)NBD_REP_ERROR(9),
};

enum { NBD_INFO_EXPORT, NBD_INFO_NAME, NBD_INFO_DESCRIPTION, NBD_INFO_BLOCK_SIZE };

/* Transmission flags of an export. */
enum {
    NBD_EXPORT_HAS_FLAGS = 1, NBD_EXPORT_READ_ONLY = 2, NBD_EXPORT_FLUSH = 4, NBD_EXPORT_FUA = 8,
    NBD_EXPORT_ROTATIONAL = 0x10, NBD_EXPORT_TRIM = 0x20, NBD_EXPORT_WRITE_ZEROES = 0x40, NBD_EXPORT_DF = 0x80,
    NBD_EXPORT_MULTI_CONN = 0x100, NBD_EXPORT_RESIZE = 0x200, NBD_EXPORT_CACHE = 0x400,
    NBD_EXPORT_FAST_ZERO = 0x800,
};

typedef enum NbdCommand {
    NBD_CMD_READ, NBD_CMD_WRITE, NBD_CMD_DISC, NBD_CMD_FLUSH, NBD_CMD_TRIM, NBD_CMD_CACHE, NBD_CMD_WRITE_ZEROES,
    NBD_CMD_BLOCK_STATUS,
} NbdCommand;

enum {
    NBD_CMD_FLAG_FUA = 1, NBD_CMD_FLAG_NO_HOLE = 2, NBD_CMD_FLAG_DF = 4, NBD_CMD_FLAG_REQ_ONE = 8,
    NBD_CMD_FLAG_FAST_ZERO = 16,
};

enum { NBD_REPLY_FLAG_DONE = 1 };
enum {
    NBD_REPLY_NONE = 0, NBD_REPLY_OFFSET_DATA = 1, NBD_REPLY_OFFSET_HOLE = 2, NBD_REPLY_BLOCK_STATUS = 5,
    NBD_REPLY_ERROR = 0x8001, NBD_REPLY_ERROR_OFFSET = 0x8002,
};

/* Flags of base:allocation and qemu:dirty-bitmap:NAME; qemu:allocation-depth has 0, 1, or 2 for deeper. */
enum { NBD_STATE_HOLE = 1, NBD_STATE_ZERO = 2, NBD_STATE_DIRTY = 1 };

#define NBD_REQUEST_LEN 28
#define NBD_SIMPLE_REPLY_LEN 16
#define NBD_STRUCTURED_REPLY_LEN 20

/* Errno values on the wire, and back. @err is positive. */
static inline uint32_t nbd_errno_to_wire(int err)
{
    switch (err) {
    case 0: return 0;
    case EPERM: case EROFS: return 1;
    case EIO: return 5;
    case ENOMEM: return 12;
    case ENOSPC: case EFBIG: case EDQUOT: return 28;
    case EOVERFLOW: return 75;
    case ENOTSUP: return 95;
    case ESHUTDOWN: return 108;
    default: return 22;
    }
}

static inline int nbd_errno_from_wire(uint32_t err)
{
    switch (err) {
    case 0: return 0;
    case 1: return EPERM;
    case 5: return EIO;
    case 12: return ENOMEM;
    case 28: return ENOSPC;
    case 75: return EOVERFLOW;
    case 95: return ENOTSUP;
    case 108: return ESHUTDOWN;
    default: return EINVAL;
    }
}

#endif
