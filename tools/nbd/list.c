/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-nbd -L: what another server exports. Main thread; waits. */
#include "util/osdep.h"
#include "block/nbd-protocol.h"
#include "nbd.h"

static void print_export(const NbdExportInfo *e)
{
    static const char *const flags[] = {
        NULL, "readonly", "flush", "fua", "rotational", "trim", "zeroes", "df", "multi", "resize", "cache",
        "fast-zero",
    };

    printf(" export: '%s'\n", e->name);
    if (e->description && *e->description) {
        printf("  description: %s\n", e->description);
    }
    printf("  size:  %" PRIu64 "\n", e->size);
    if (e->flags & NBD_EXPORT_HAS_FLAGS) {
        printf("  flags: 0x%x (", e->flags);
        for (unsigned i = 1; i < ARRAY_SIZE(flags); i++) {
            if (e->flags & (1u << i)) {
                printf(" %s", flags[i]);
            }
        }
        printf(" )\n");
    }
    if (e->min_block) {
        printf("  min block: %u\n  opt block: %u\n  max block: %u\n", e->min_block, e->opt_block, e->max_block);
    }
    if (e->contexts && *e->contexts) {
        printf("  available meta contexts: %u\n", g_strv_length(e->contexts));
        for (char **c = e->contexts; *c; c++) {
            printf("   %s\n", *c);
        }
    }
}

int nbd_list(const SocketAddress *addr, const NbdClientTls *tls)
{
    Error *err = NULL;
    NbdExportInfo *list = NULL;
    IoChannel *ch = io_channel_connect(addr, &err);
    int count = ch ? nbd_client_list(&ch, tls, &list, &err) : -1;

    if (count < 0) {
        error_report_err(err);
    } else {
        printf("exports available: %d\n", count);
    }
    for (int i = 0; i < count; i++) {
        print_export(&list[i]);
        nbd_export_info_clear(&list[i]);
    }
    g_free(list);
    io_channel_unref(ch);
    return count < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
