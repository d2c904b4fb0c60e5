/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-nbd: help and command line. Main thread. */
#include "util/osdep.h"
#include <getopt.h>
#include "../common.h"
#include "block/nbd-protocol.h"
#include "nbd.h"
#include "qapi/json.h"
#include "util/cutils.h"

enum {
    OPT_CACHE = 256, OPT_AIO, OPT_DISCARD, OPT_DETECT_ZEROES, OPT_OBJECT, OPT_TLS_CREDS, OPT_TLS_HOSTNAME,
    OPT_TLS_AUTHZ, OPT_IMAGE_OPTS, OPT_FORK, OPT_PID_FILE, OPT_SELINUX_LABEL,
};

static const struct option longs[] = {
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { "port", required_argument, NULL, 'p' },
    { "bind", required_argument, NULL, 'b' },
    { "socket", required_argument, NULL, 'k' },
    { "shared", required_argument, NULL, 'e' },
    { "persistent", no_argument, NULL, 't' },
    { "verbose", no_argument, NULL, 'v' },
    { "export-name", required_argument, NULL, 'x' },
    { "description", required_argument, NULL, 'D' },
    { "offset", required_argument, NULL, 'o' },
    { "allocation-depth", no_argument, NULL, 'A' },
    { "bitmap", required_argument, NULL, 'B' },
    { "list", no_argument, NULL, 'L' },
    { "object", required_argument, NULL, OPT_OBJECT },
    { "tls-creds", required_argument, NULL, OPT_TLS_CREDS },
    { "tls-hostname", required_argument, NULL, OPT_TLS_HOSTNAME },
    { "tls-authz", required_argument, NULL, OPT_TLS_AUTHZ },
    { "trace", required_argument, NULL, 'T' },
    { "fork", no_argument, NULL, OPT_FORK },
    { "pid-file", required_argument, NULL, OPT_PID_FILE },
    { "selinux-label", required_argument, NULL, OPT_SELINUX_LABEL },
    { "connect", required_argument, NULL, 'c' },
    { "disconnect", no_argument, NULL, 'd' },
    { "format", required_argument, NULL, 'f' },
    { "read-only", no_argument, NULL, 'r' },
    { "snapshot", no_argument, NULL, 's' },
    { "load-snapshot", required_argument, NULL, 'l' },
    { "nocache", no_argument, NULL, 'n' },
    { "cache", required_argument, NULL, OPT_CACHE },
    { "aio", required_argument, NULL, OPT_AIO },
    { "discard", required_argument, NULL, OPT_DISCARD },
    { "detect-zeroes", required_argument, NULL, OPT_DETECT_ZEROES },
    { "image-opts", no_argument, NULL, OPT_IMAGE_OPTS },
    { NULL }
};

static void print_help(void)
{
    printf("Usage: %s [OPTIONS] FILE\n"
           "  or:  %s -L [OPTIONS]\n"
           "QEMU Disk Network Block Device Utility\n"
           "\n"
           "  -h, --help                show this text and end\n"
           "  -V, --version             show the version and end\n"
           "\n"
           "Connection properties:\n"
           "  -p, --port=PORT           TCP port (default `" NBD_DEFAULT_PORT "')\n"
           "  -b, --bind=IFACE          address to listen on (default `0.0.0.0')\n"
           "  -k, --socket=PATH         listen on a unix socket\n"
           "  -e, --shared=NUM          clients at a time, 0 for any number (default '1')\n"
           "  -t, --persistent          go on when the last client has left\n"
           "  -v, --verbose             say more\n"
           "  -x, --export-name=NAME    name of the export (default is the empty name)\n"
           "  -D, --description=TEXT    what clients are told about it\n"
           "\n"
           "Exposing part of the image:\n"
           "  -o, --offset=OFFSET       where the export starts in the image\n"
           "  -A, --allocation-depth    offer the allocation depth\n"
           "  -B, --bitmap=NAME         offer a persistent dirty bitmap\n"
           "\n", report_program(), report_program());
    printf("General purpose options:\n"
           "  -L, --list                list the exports of another server\n"
           "  --object type,id=ID,...   make an object, such as a secret or TLS credentials\n"
           "  --tls-creds=ID            use TLS with these credentials\n"
           "  --tls-hostname=NAME       with -L: whom the server's certificate must be for\n"
           "  --tls-authz=ID            authorisation that clients must satisfy\n"
           "  -T, --trace [[enable=]<pattern>][,events=<file>][,file=<file>]\n"
           "                            trace events\n"
           "  --fork                    go to the background once clients can connect\n"
           "  --pid-file=PATH           write the server's process id to a file\n"
           "\n"
           "Kernel NBD client support:\n"
           "  -c, --connect=DEV         connect FILE to the kernel's NBD device DEV\n"
           "  -d, --disconnect          disconnect the given device\n"
           "\n"
           "Block device options:\n"
           "  -f, --format=FORMAT       image format (raw, qcow2, ...)\n"
           "  -r, --read-only           export read-only\n"
           "  -s, --snapshot            write to a temporary overlay of FILE, which is thrown away\n"
           "  -l, --load-snapshot=SNAPSHOT_PARAM\n"
           "                            export an internal snapshot read-only; SNAPSHOT_PARAM is\n"
           "                            'snapshot.id=[ID],snapshot.name=[NAME]' or '[ID_OR_NAME]'\n"
           "  -n, --nocache             as --cache=none\n"
           "      --cache=MODE          none, writeback (default), writethrough, directsync, unsafe\n"
           "      --aio=MODE            I/O engine: native, io_uring, threads\n"
           "      --discard=MODE        discard requests: ignore, unmap\n"
           "      --detect-zeroes=MODE  writes of zeroes: off, on, unmap\n"
           "      --image-opts          FILE is key=value,... options\n"
           "\n");
}

static bool complain(const char *fmt, const char *text)
{
    error_report(fmt, text);
    return false;
}

/* The advice that goes with a wrong number of arguments. */
static bool complain_usage(const char *fmt)
{
    error_report("%s", fmt);
    fprintf(stderr, "Try `%s --help' for more information.\n", program_invocation_name);
    return false;
}

static bool set_cache(NbdToolOptions *o, const char *mode)
{
    if (o->has_cache) {
        error_report("-n and --cache can only be specified once");
        return false;
    }
    o->has_cache = true;
    return tool_cache_mode(mode, &o->flags, &o->writethrough) || complain("Invalid cache mode `%s'", mode);
}

static bool set_aio(NbdToolOptions *o, const char *mode)
{
    if (o->aio) {
        error_report("--aio can only be specified once");
        return false;
    }
    o->aio = mode;
    return strcmp(mode, "native") == 0 || strcmp(mode, "threads") == 0 || strcmp(mode, "io_uring") == 0 ||
           complain("Invalid aio mode '%s'", mode);
}

static bool set_discard(NbdToolOptions *o, const char *mode)
{
    static bool given;

    if (given) {
        error_report("--discard can only be specified once");
        return false;
    }
    given = true;
    if (strcmp(mode, "unmap") == 0 || strcmp(mode, "on") == 0) {
        o->flags |= BLOCK_OPEN_UNMAP;
        return true;
    }
    return strcmp(mode, "ignore") == 0 || strcmp(mode, "off") == 0 || complain("Invalid discard mode `%s'", mode);
}

static bool set_detect_zeroes(NbdToolOptions *o, const char *mode)
{
    if (strcmp(mode, "off") != 0 && strcmp(mode, "on") != 0 && strcmp(mode, "unmap") != 0) {
        return complain("Failed to parse detect_zeroes mode: invalid parameter value: %s", mode);
    }
    o->detect_zeroes = mode;
    return true;
}

static bool set_shared(NbdToolOptions *o, const char *text)
{
    int64_t n;

    if (parse_int64(text, 0, &n) < 0 || n < 0 || n > INT32_MAX) {
        return complain("Invalid shared device number '%s'", text);
    }
    o->shared = n;
    return true;
}

static bool set_offset(NbdToolOptions *o, const char *text)
{
    o->has_offset = true;
    return (*text != '-' && parse_uint64(text, 0, &o->offset) == 0) || complain("Invalid offset '%s'", text);
}

static bool set_socket(NbdToolOptions *o, const char *path)
{
    g_free(o->socket);
    o->socket = g_strdup(path);
    return *path == '/' || complain("%s", "socket path must be absolute");
}

static bool limited(const char **to, const char *text, const char *what)
{
    if (strlen(text) > NBD_MAX_STRING) {
        error_report("%s '%s' too long", what, text);
        return false;
    }
    *to = text;
    return true;
}

static bool set_trace(const char *text)
{
    Error *err = NULL;

    if (!tool_trace_option(text, &err)) {
        error_report_err(err);
        return false;
    }
    return true;
}

/* One option; false: told already. */
static bool take(NbdToolOptions *o, int c)
{
    switch (c) {
    case 'h':
        print_help();
        exit(EXIT_SUCCESS);
    case 'V':
        tool_print_version();
        exit(EXIT_SUCCESS);
    case 'p': o->port = optarg; return true;
    case 'b': o->bind = optarg; return true;
    case 'k': return set_socket(o, optarg);
    case 'e': return set_shared(o, optarg);
    case 't': o->persistent = true; return true;
    case 'v': o->verbose = true; return true;
    case 'x': return limited(&o->export_name, optarg, "export name");
    case 'D': return limited(&o->description, optarg, "export description");
    case 'o': return set_offset(o, optarg);
    case 'A': o->allocation_depth = true; return true;
    case 'B': g_ptr_array_add(o->bitmaps, optarg); return true;
    case 'L': o->list = true; return true;
    case 'T': return set_trace(optarg);
    case 'c': o->connect = optarg; return true;
    case 'd': o->disconnect = ""; return true;
    case 'f': o->format = optarg; return true;
    case 'r': o->read_only = true; return true;
    case 's': o->snapshot = true; return true;
    case 'l': o->load_snapshot = optarg; o->read_only = true; return true;
    case 'n': return set_cache(o, "none");
    case OPT_CACHE: return set_cache(o, optarg);
    case OPT_AIO: return set_aio(o, optarg);
    case OPT_DISCARD: return set_discard(o, optarg);
    case OPT_DETECT_ZEROES: return set_detect_zeroes(o, optarg);
    case OPT_OBJECT: g_ptr_array_add(o->objects, optarg); return true;
    case OPT_TLS_CREDS: o->tls_creds = optarg; return true;
    case OPT_TLS_HOSTNAME: o->tls_hostname = optarg; return true;
    case OPT_TLS_AUTHZ: o->tls_authz = optarg; return true;
    case OPT_IMAGE_OPTS: o->image_opts = true; return true;
    case OPT_FORK: o->fork = true; return true;
    case OPT_PID_FILE: o->pid_file = optarg; return true;
    case OPT_SELINUX_LABEL:
        error_report("SELinux labels are not supported");
        return false;
    case '?':
        fprintf(stderr, "%s: Try `%s --help' for more information.\n", report_program(), program_invocation_name);
        return false;
    default:
        return false;
    }
}

static bool check_together(NbdToolOptions *o, int left, bool has_format)
{
    if (o->tls_authz && !o->tls_creds) {
        error_report("--tls-authz is not permitted without --tls-creds");
        return false;
    }
    if (o->tls_hostname && !o->list) {
        error_report("TLS hostname is only supported with list mode");
        return false;
    }
    if (o->detect_zeroes && strcmp(o->detect_zeroes, "unmap") == 0 && !(o->flags & BLOCK_OPEN_UNMAP)) {
        error_report("setting detect-zeroes to unmap is not allowed without setting discard operation to unmap");
        return false;
    }
    if (o->list) {
        if (left) {
            error_report("List mode is incompatible with a file name");
            return false;
        }
        if (o->export_name || o->description || o->has_offset || o->has_cache || o->aio || o->load_snapshot ||
            o->bitmaps->len || o->allocation_depth || o->read_only || o->snapshot || has_format || o->connect ||
            o->disconnect || o->persistent || o->pid_file || o->fork || o->image_opts || o->detect_zeroes) {
            error_report("List mode is incompatible with per-device settings");
            return false;
        }
        return true;
    }
    if (left != 1) {
        return complain_usage("Invalid number of arguments");
    }
    if (o->connect && (o->tls_creds || o->list)) {
        error_report("TLS is not supported with a host device");
        return false;
    }
    return true;
}

bool nbd_parse_options(int argc, char **argv, NbdToolOptions *o)
{
    int c;

    o->shared = 1;
    o->bitmaps = g_ptr_array_new();
    o->objects = g_ptr_array_new();
    opterr = 1;
    while ((c = getopt_long(argc, argv, "hVb:o:p:rsnc:dvk:e:f:tl:x:T:D:AB:L", longs, NULL)) != -1) {
        if (!take(o, c)) {
            return false;
        }
    }
    if (!check_together(o, argc - optind, o->format)) {
        return false;
    }
    o->file = argv[optind];
    if (o->disconnect) {
        o->disconnect = o->file;
    }
    return true;
}

bool nbd_parse_snapshot(const char *text, char **id, char **name, Error **errp)
{
    g_autoptr(JsonValue) o = NULL;

    *id = *name = NULL;
    if (!g_str_has_prefix(text, "snapshot.")) {
        *name = g_strdup(text);
        return true;
    }
    o = keyval_parse_flat(text, NULL, false, NULL, errp);
    for (size_t i = 0; o && i < json_object_len(o); i++) {
        const char *key;
        JsonValue *v;

        json_object_at(o, i, &key, &v);
        if (strcmp(key, "snapshot.id") == 0) {
            *id = g_strdup(json_get_string(v));
        } else if (strcmp(key, "snapshot.name") == 0) {
            *name = g_strdup(json_get_string(v));
        } else {
            error_setg(errp, "Invalid parameter '%s'", key);
            return false;
        }
    }
    return o != NULL;
}
