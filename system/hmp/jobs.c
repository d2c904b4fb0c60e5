/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Human monitor commands on block jobs, snapshots of disks and the NBD server,
 * and on the balloon: front ends of QMP handlers. Main thread.
 */
#include "util/osdep.h"
#include "hmp-text.h"
#include "io/channel.h"
#include "qapi-commands.h"

static char *word(const HmpArgs *args, const char *name)
{
    return (char *)hmp_string(args, name);
}

/* ---- jobs ---- */

static bool run_block_stream(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const QmpBlockStreamArgs a = {
        .device = word(args, "device"), .base = word(args, "base"),
        .has_speed = hmp_has(args, "speed"), .speed = hmp_number(args, "speed", 0),
        .has_on_error = true, .on_error = BLOCKDEV_ON_ERROR_REPORT,
    };

    return qmp_block_stream(&a, errp);
}

static bool run_block_job_set_speed(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return qmp_block_job_set_speed(&(QmpBlockJobSetSpeedArgs){ .device = word(args, "device"),
                                                               .speed = hmp_number(args, "speed", 0) }, errp);
}

static bool run_block_job_cancel(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return qmp_block_job_cancel(&(QmpBlockJobCancelArgs){ .device = word(args, "device"), .has_force = true,
                                                          .force = hmp_bool(args, "force") }, errp);
}

#define JOB_COMMAND(verb, Verb)                                             \
    static bool run_block_job_##verb(Hmp *hmp, const HmpArgs *args, Error **errp) \
    {                                                                       \
        return qmp_block_job_##verb(&(QmpBlockJob##Verb##Args){ .device = word(args, "device") }, errp); \
    }
JOB_COMMAND(pause, Pause)
JOB_COMMAND(resume, Resume)
JOB_COMMAND(complete, Complete)

static bool run_drive_backup(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const DriveBackup a = {
        .device = word(args, "device"), .target = word(args, "target"), .format = word(args, "format"),
        .sync = hmp_bool(args, "full") ? MIRROR_SYNC_MODE_FULL : MIRROR_SYNC_MODE_TOP,
        .has_mode = true, .mode = hmp_bool(args, "reuse") ? NEW_IMAGE_MODE_EXISTING : NEW_IMAGE_MODE_ABSOLUTE_PATHS,
        .has_compress = hmp_bool(args, "compress"), .compress = hmp_bool(args, "compress"),
    };

    return qmp_drive_backup(&a, errp);
}

static bool run_drive_mirror(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const QmpDriveMirrorArgs a = {
        .device = word(args, "device"), .target = word(args, "target"), .format = word(args, "format"),
        .sync = hmp_bool(args, "full") ? MIRROR_SYNC_MODE_FULL : MIRROR_SYNC_MODE_TOP,
        .has_mode = true, .mode = hmp_bool(args, "reuse") ? NEW_IMAGE_MODE_EXISTING : NEW_IMAGE_MODE_ABSOLUTE_PATHS,
    };

    return qmp_drive_mirror(&a, errp);
}

static bool info_block_jobs(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    BlockJobInfoList *list = qmp_query_block_jobs(NULL);

    if (!list) {
        hmp_puts(hmp, "No active jobs\n");
    }
    for (BlockJobInfoList *l = list; l; l = l->next) {
        const BlockJobInfo *j = l->value;
        bool stream = strcmp(j->type, "stream") == 0;

        hmp_printf(hmp, stream ? "Streaming%s device %s" : "Type %s, device %s", stream ? "" : j->type, j->device);
        hmp_printf(hmp, ": Completed %" PRId64 " of %" PRId64 " bytes, speed limit %" PRId64 " bytes/s\n", j->offset,
                   j->len, j->speed);
    }
    qapi_free_BlockJobInfoList(list);
    return true;
}

/* ---- snapshots ---- */

static bool run_snapshot_blkdev(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const char *format = hmp_string(args, "format");
    const BlockdevSnapshotSync a = {
        .device = word(args, "device"), .snapshot_file = word(args, "snapshot-file"),
        .format = (char *)(format ? format : "qcow2"), .has_mode = true,
        .mode = hmp_bool(args, "reuse") ? NEW_IMAGE_MODE_EXISTING : NEW_IMAGE_MODE_ABSOLUTE_PATHS,
    };

    if (!a.snapshot_file) {
        error_setg(errp, "Parameter 'snapshot-file' is missing");
        return false;
    }
    return qmp_blockdev_snapshot_sync(&a, errp);
}

static bool run_snapshot_internal(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return qmp_blockdev_snapshot_internal_sync(&(BlockdevSnapshotInternal){ .device = word(args, "device"),
                                                                            .name = word(args, "name") }, errp);
}

static bool run_snapshot_delete(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    SnapshotInfo *gone = qmp_blockdev_snapshot_delete_internal_sync(
        &(QmpBlockdevSnapshotDeleteInternalSyncArgs){ .device = word(args, "device"), .name = word(args, "name"),
                                                      .id = word(args, "id") }, errp);

    qapi_free_SnapshotInfo(gone);
    return gone != NULL;
}

/* ---- NBD ---- */

static bool export_all(bool writable, Error **errp)
{
    BlockInfoList *list = qmp_query_block(errp);
    bool ok = true;

    for (BlockInfoList *l = list; ok && l; l = l->next) {
        ok = !l->value->inserted ||
             qmp_nbd_server_add(&(QmpNbdServerAddArgs){ .device = l->value->device, .has_writable = true,
                                                        .writable = writable && !l->value->inserted->ro }, errp);
    }
    qapi_free_BlockInfoList(list);
    if (!ok) {
        qmp_nbd_server_stop(NULL);
    }
    return ok;
}

static bool run_nbd_server_start(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(SocketAddress) addr = NULL;
    SocketAddressLegacy legacy = { 0 };

    if (hmp_bool(args, "writable") && !hmp_bool(args, "all")) {
        error_setg(errp, "-w only valid together with -a");
        return false;
    }
    addr = socket_address_parse(hmp_string(args, "uri"), errp);
    if (!addr) {
        return false;
    }
    legacy.type = addr->type;
    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_INET:
        legacy.u.inet.data = &addr->u.inet;
        break;
    case SOCKET_ADDRESS_TYPE_UNIX:
        legacy.u.q_unix.data = &addr->u.q_unix;
        break;
    case SOCKET_ADDRESS_TYPE_VSOCK:
        legacy.u.vsock.data = &addr->u.vsock;
        break;
    default:
        legacy.u.fd.data = &addr->u.fd;
        break;
    }
    return qmp_nbd_server_start(&(QmpNbdServerStartArgs){ .addr = &legacy }, errp) &&
           (!hmp_bool(args, "all") || export_all(hmp_bool(args, "writable"), errp));
}

static bool run_nbd_server_add(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return qmp_nbd_server_add(&(QmpNbdServerAddArgs){ .device = word(args, "device"), .name = word(args, "name"),
                                                      .has_writable = true, .writable = hmp_bool(args, "writable") },
                              errp);
}

static bool run_nbd_server_remove(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return qmp_nbd_server_remove(&(QmpNbdServerRemoveArgs){ .name = word(args, "name"), .has_mode = hmp_bool(args, "force"),
                                                            .mode = BLOCK_EXPORT_REMOVE_MODE_HARD }, errp);
}

static bool run_nbd_server_stop(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return qmp_nbd_server_stop(errp);
}

/* ---- balloon ---- */

static bool run_balloon(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    return qmp_balloon(&(QmpBalloonArgs){ .value = hmp_number(args, "value", 0) }, errp);
}

static bool info_balloon(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    BalloonInfo *info = qmp_query_balloon(errp);

    if (!info) {
        return false;
    }
    hmp_printf(hmp, "balloon: actual=%" PRId64 "\n", info->actual >> 20);
    qapi_free_BalloonInfo(info);
    return true;
}

#define FLAG(name, letter) { name, HMP_FLAG, .flag = letter }
#define DEVICE { "device", HMP_STRING, .complete = hmp_complete_block }

HMP_COMMANDS(job_commands) = {
    { "block_stream", "device [speed [base]]", "copy data from a backing file into a block device",
      HMP_ARGS(DEVICE, { "speed", HMP_SIZE, .optional = true }, { "base", HMP_STRING, .optional = true }), run_block_stream },
    { "block_job_set_speed", "device speed", "set maximum speed for a background block operation",
      HMP_ARGS(DEVICE, { "speed", HMP_SIZE }), run_block_job_set_speed },
    { "block_job_cancel", "[-f] device", "stop an active background block operation (-f: at once, not only when\n"
      "\t\t\t what is copied is whole)", HMP_ARGS(FLAG("force", 'f'), DEVICE), run_block_job_cancel },
    { "block_job_pause", "device", "pause an active background block operation", HMP_ARGS(DEVICE), run_block_job_pause },
    { "block_job_resume", "device", "resume a paused background block operation", HMP_ARGS(DEVICE), run_block_job_resume },
    { "block_job_complete", "device", "bring an active background block operation to its end", HMP_ARGS(DEVICE),
      run_block_job_complete },
    { "drive_backup", "[-n] [-f] [-c] device target [format]", "copy a device as it is now (-n: into an image that is there,\n"
      "\t\t\t-f: all of it, not only the top image, -c: compressed)",
      HMP_ARGS(FLAG("reuse", 'n'), FLAG("full", 'f'), FLAG("compress", 'c'), DEVICE, { "target", HMP_FILE },
               { "format", HMP_STRING, .optional = true }), run_drive_backup },
    { "drive_mirror", "[-n] [-f] device target [format]", "copy a device and what is written to it from now on (-n: into an\n"
      "\t\t\timage that is there, -f: all of it, not only the top image)",
      HMP_ARGS(FLAG("reuse", 'n'), FLAG("full", 'f'), DEVICE, { "target", HMP_FILE }, { "format", HMP_STRING, .optional = true }),
      run_drive_mirror },
    { "snapshot_blkdev", "[-n] device [new-image-file] [format]", "write to a new image on top of the device's from now on\n"
      "\t\t\t(-n: that is there already; the default format is qcow2)",
      HMP_ARGS(FLAG("reuse", 'n'), DEVICE, { "snapshot-file", HMP_FILE, .optional = true },
               { "format", HMP_STRING, .optional = true }), run_snapshot_blkdev },
    { "snapshot_blkdev_internal", "device name", "take a snapshot inside the device's image",
      HMP_ARGS(DEVICE, { "name", HMP_STRING }), run_snapshot_internal },
    { "snapshot_delete_blkdev_internal", "device name [id]", "delete a snapshot inside the device's image",
      HMP_ARGS(DEVICE, { "name", HMP_STRING }, { "id", HMP_STRING, .optional = true }), run_snapshot_delete },
    { "nbd_server_start", "nbd_server_start [-a] [-w] host:port", "serve block devices on the given host and port (-a: all\n"
      "\t\t\tthat are there, -w: to be written, too)",
      HMP_ARGS(FLAG("all", 'a'), FLAG("writable", 'w'), { "uri", HMP_STRING }), run_nbd_server_start },
    { "nbd_server_add", "nbd_server_add [-w] device [name]", "export a block device via NBD",
      HMP_ARGS(FLAG("writable", 'w'), DEVICE, { "name", HMP_STRING, .optional = true }), run_nbd_server_add },
    { "nbd_server_remove", "nbd_server_remove [-f] name", "remove an export previously exposed via NBD",
      HMP_ARGS(FLAG("force", 'f'), { "name", HMP_STRING }), run_nbd_server_remove },
    { "nbd_server_stop", "nbd_server_stop", "stop serving block devices using the NBD protocol", NULL, run_nbd_server_stop },
    { "balloon", "target", "request VM to change its memory allocation (in MB)", HMP_ARGS({ "value", HMP_MIB }), run_balloon },
    HMP_END
};

HMP_INFO(job_infos) = {
    { "block-jobs", "", "show progress of ongoing block device operations", NULL, info_block_jobs },
    { "balloon", "", "show balloon information", NULL, info_balloon },
    HMP_END
};
