/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a migration goes to or comes from: URIs. Main thread. */
#include "util/osdep.h"
#include "migration/migration-internal.h"

static const struct {
    const char *scheme;
    MigrationUriKind kind;
} schemes[] = {
    { "fd:", MIGRATION_URI_FD }, { "file:", MIGRATION_URI_FILE }, { "exec:", MIGRATION_URI_EXEC },
    { "unix:", MIGRATION_URI_SOCKET }, { "tcp:", MIGRATION_URI_SOCKET }, { "vsock:", MIGRATION_URI_SOCKET },
};

bool migration_uri_parse(const char *text, MigrationUri *uri, Error **errp)
{
    *uri = (MigrationUri){ 0 };
    for (unsigned i = 0; i < ARRAY_SIZE(schemes); i++) {
        if (g_str_has_prefix(text, schemes[i].scheme)) {
            uri->kind = schemes[i].kind;
            uri->rest = text + strlen(schemes[i].scheme);
            if (uri->kind == MIGRATION_URI_SOCKET) {
                uri->address = socket_address_parse(text, errp);
                return uri->address != NULL;
            }
            return true;
        }
    }
    error_setg(errp, "Parameter 'uri' expects a valid migration protocol");
    return false;
}

void migration_uri_clear(MigrationUri *uri)
{
    qapi_free_SocketAddress(uri->address);
    uri->address = NULL;
}

static IoChannel *open_fd(const char *text, Error **errp)
{
    int fd = fd_param(text, errp);
    IoChannel *ch;

    if (fd < 0) {
        return NULL;
    }
    ch = io_channel_new_fd(fd, "migration", errp);
    if (!ch) {
        close(fd);
    }
    return ch;
}

IoChannel *migration_uri_open(const MigrationUri *uri, bool incoming, Error **errp)
{
    switch (uri->kind) {
    case MIGRATION_URI_FD:
        return open_fd(uri->rest, errp);
    case MIGRATION_URI_FILE:
        return io_channel_open_file(uri->rest, incoming ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC, 0600, errp);
    case MIGRATION_URI_EXEC:
        return io_channel_new_command(uri->rest, incoming, !incoming, errp);
    default:
        break;
    }
    g_assert_not_reached();
}
