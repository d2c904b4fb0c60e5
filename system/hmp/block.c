/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Human monitor commands on disks: texts of QMP queries, and -drive at run time. Main thread. */
#include "util/osdep.h"
#include "block/block.h"
#include "hmp-text.h"
#include "qapi-commands.h"
#include "util/cutils.h"

/* ---- info block ---- */

static void print_inserted(Hmp *hmp, const BlockDeviceInfo *node, const BlockInfo *drive)
{
    const char *name = drive && *drive->device ? drive->device : NULL;

    if (name && node->node_name) {
        hmp_printf(hmp, "%s (%s)", name, node->node_name);
    } else {
        hmp_puts(hmp, name ? name : node->node_name ? node->node_name : "");
    }
    hmp_printf(hmp, ": %s (%s%s%s)\n", node->file, node->drv, node->ro ? ", read-only" : "",
               node->encrypted ? ", encrypted" : "");
}

static void print_drive_state(Hmp *hmp, const BlockInfo *drive)
{
    if (drive->qdev) {
        hmp_printf(hmp, "    Attached to:      %s\n", drive->qdev);
    }
    if (drive->has_io_status && drive->io_status != BLOCK_DEVICE_IO_STATUS_OK) {
        hmp_printf(hmp, "    I/O status:       %s\n", BlockDeviceIoStatus_str(drive->io_status));
    }
    if (drive->removable) {
        hmp_printf(hmp, "    Removable device: %slocked, tray %s\n", drive->locked ? "" : "not ",
                   drive->has_tray_open && drive->tray_open ? "open" : "closed");
    }
}

static void print_node_state(Hmp *hmp, const BlockDeviceInfo *node)
{
    hmp_printf(hmp, "    Cache mode:       %s%s%s\n", node->cache->writeback ? "writeback" : "writethrough",
               node->cache->direct ? ", direct" : "", node->cache->no_flush ? ", ignore flushes" : "");
    if (node->backing_file) {
        hmp_printf(hmp, "    Backing file:     %s (chain depth: %" PRId64 ")\n", node->backing_file,
                   node->backing_file_depth);
    }
    if (node->detect_zeroes != BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF) {
        hmp_printf(hmp, "    Detect zeroes:    %s\n", BlockdevDetectZeroesOptions_str(node->detect_zeroes));
    }
    if (node->bps || node->bps_rd || node->bps_wr || node->iops || node->iops_rd || node->iops_wr) {
        hmp_printf(hmp, "    I/O throttling:   bps=%" PRId64 " bps_rd=%" PRId64 " bps_wr=%" PRId64 " iops=%" PRId64
                   " iops_rd=%" PRId64 " iops_wr=%" PRId64 "\n", node->bps, node->bps_rd, node->bps_wr, node->iops,
                   node->iops_rd, node->iops_wr);
    }
}

static void print_image(Hmp *hmp, const ImageInfo *image)
{
    g_autofree char *size = format_size((uint64_t)image->virtual_size);

    hmp_printf(hmp, "image: %s\nfile format: %s\nvirtual size: %s (%" PRId64 " bytes)\n", image->filename,
               image->format, size, image->virtual_size);
    if (image->has_actual_size) {
        g_autofree char *actual = format_size((uint64_t)image->actual_size);

        hmp_printf(hmp, "disk size: %s\n", actual);
    } else {
        hmp_puts(hmp, "disk size: unavailable\n");
    }
    if (image->has_cluster_size) {
        hmp_printf(hmp, "cluster_size: %" PRId64 "\n", image->cluster_size);
    }
    if (image->backing_filename) {
        hmp_printf(hmp, "backing file: %s\n", image->backing_filename);
    }
}

static void print_images(Hmp *hmp, const ImageInfo *image)
{
    hmp_puts(hmp, "\nImages:\n");
    for (; image; image = image->backing_image) {
        print_image(hmp, image);
    }
}

static void info_drives(Hmp *hmp, const char *wanted, bool verbose)
{
    BlockInfoList *list = qmp_query_block(NULL);
    bool first = true;

    for (BlockInfoList *l = list; l; l = l->next) {
        const BlockInfo *drive = l->value;
        const BlockDeviceInfo *node = drive->inserted;

        if (wanted && strcmp(wanted, drive->device) != 0) {
            continue;
        }
        hmp_puts(hmp, first ? "" : "\n");
        first = false;
        if (node) {
            print_inserted(hmp, node, drive);
        } else {
            hmp_printf(hmp, "%s: [not inserted]\n", drive->device);
        }
        print_drive_state(hmp, drive);
        if (node) {
            print_node_state(hmp, node);
            if (verbose) {
                print_images(hmp, node->image);
            }
        }
    }
    qapi_free_BlockInfoList(list);
}

static void info_nodes(Hmp *hmp, const char *wanted, bool verbose)
{
    BlockDeviceInfoList *list = qmp_query_named_block_nodes(&(QmpQueryNamedBlockNodesArgs){ 0 }, NULL);
    bool first = true;

    for (BlockDeviceInfoList *l = list; l; l = l->next) {
        if (wanted && strcmp(wanted, l->value->node_name) != 0) {
            continue;
        }
        hmp_puts(hmp, first ? "" : "\n");
        first = false;
        print_inserted(hmp, l->value, NULL);
        print_node_state(hmp, l->value);
        if (verbose) {
            print_images(hmp, l->value->image);
        }
    }
    qapi_free_BlockDeviceInfoList(list);
}

static bool info_block(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const char *device = hmp_string(args, "device");

    if (hmp_bool(args, "nodes")) {
        info_nodes(hmp, device, hmp_bool(args, "verbose"));
    } else {
        info_drives(hmp, device, hmp_bool(args, "verbose"));
    }
    return true;
}

static bool info_blockstats(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    BlockStatsList *list = qmp_query_blockstats(&(QmpQueryBlockstatsArgs){ 0 }, errp);

    for (BlockStatsList *l = list; l; l = l->next) {
        const BlockDeviceStats *s = l->value->stats;

        if (!l->value->device) {
            continue;
        }
        hmp_printf(hmp, "%s: rd_bytes=%" PRId64 " wr_bytes=%" PRId64 " rd_operations=%" PRId64 " wr_operations=%"
                   PRId64 " flush_operations=%" PRId64 " wr_total_time_ns=%" PRId64 " rd_total_time_ns=%" PRId64
                   " flush_total_time_ns=%" PRId64 " rd_merged=%" PRId64 " wr_merged=%" PRId64
                   " idle_time_ns=%" PRId64 "\n", l->value->device, s->rd_bytes, s->wr_bytes, s->rd_operations,
                   s->wr_operations, s->flush_operations, s->wr_total_time_ns, s->rd_total_time_ns,
                   s->flush_total_time_ns, s->rd_merged, s->wr_merged, s->idle_time_ns);
    }
    qapi_free_BlockStatsList(list);
    return true;
}

/* ---- changes ---- */

static bool run_block_resize(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const QmpBlockResizeArgs a = { .device = (char *)hmp_string(args, "device"),
                                   .size = hmp_number(args, "size", 0) };

    return qmp_block_resize(&a, errp);
}

/* The place ("0", "0:0") is for machines that no longer are; if=none is what drives are added with. */
static bool run_drive_add(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(JsonValue) device = NULL;
    Error *err = NULL;

    if (!drive_option_add(hmp_string(args, "opts"), &device, &err)) {
        hmp_printf(hmp, "%s\n", error_message(err));
        error_free(err);
    } else if (device) {
        error_setg(errp, "Can't hot-add drive to type 1");
        drive_del(json_object_get_string(device, "drive"), NULL);
        return false;
    } else {
        hmp_puts(hmp, "OK\n");
    }
    return true;
}

static bool run_drive_del(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    Error *err = NULL;

    if (!drive_del(hmp_string(args, "id"), &err)) {
        hmp_printf(hmp, "%s\n", error_message(err));
        error_free(err);
    }
    return true;
}

HMP_COMMANDS(block_commands) = {
    { "block_resize", "device size", "resize a block image",
      HMP_ARGS({ "device", HMP_STRING, .complete = hmp_complete_block }, { "size", HMP_SIZE }), run_block_resize },
    { "drive_add", "[-n] [[<domain>:]<bus>:]<slot>\n[file=file][,if=type][,bus=n]\n[,unit=m][,media=d][,index=i]\n"
      "[,snapshot=on|off][,cache=on|off]\n[,readonly=on|off][,copy-on-read=on|off]",
      "add drive to PCI storage controller", HMP_ARGS({ "pci_addr", HMP_STRING }, { "opts", HMP_STRING }),
      run_drive_add },
    { "drive_del", "device", "remove host block device",
      HMP_ARGS({ "id", HMP_STRING, .complete = hmp_complete_block }), run_drive_del },
    HMP_END
};

HMP_INFO(block_infos) = {
    { "block", "[-n] [-v] [device]", "show info of one block device or all block devices (-n: show named nodes; "
      "-v: show details)", HMP_ARGS({ "nodes", HMP_FLAG, .flag = 'n' }, { "verbose", HMP_FLAG, .flag = 'v' },
                                    { "device", HMP_STRING, .optional = true, .complete = hmp_complete_block }),
      info_block },
    { "blockstats", "", "show block device statistics", NULL, info_blockstats },
    HMP_END
};
