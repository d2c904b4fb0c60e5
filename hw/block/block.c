/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Common parts of disk devices, see include/hw/block/block.h. */
#include "util/osdep.h"
#include "hw/block/block.h"
#include "system/runstate.h"

#define MIN_BLOCK_SIZE 512
#define MAX_BLOCK_SIZE (2 * MIB)

static bool check_block_size(const char *name, uint64_t value, Error **errp)
{
    if (value < MIN_BLOCK_SIZE || value > MAX_BLOCK_SIZE) {
        error_setg(errp, "Property .%s doesn't take value %" PRIu64 " (minimum: %d, maximum: %d)",
                   name, value, MIN_BLOCK_SIZE, (int)MAX_BLOCK_SIZE);
        return false;
    }
    if (!IS_POWER_OF_2(value)) {
        error_setg(errp, "Property .%s doesn't take value '%" PRIu64 "', it's not a power of 2",
                   name, value);
        return false;
    }
    return true;
}

static bool check_multiple(const char *name, uint64_t value, uint64_t unit, Error **errp)
{
    if (value % unit) {
        error_setg(errp, "%s must be a multiple of logical_block_size", name);
        return false;
    }
    return true;
}

static bool check_sizes(BlockConf *conf, Error **errp)
{
    uint64_t logical = conf->logical_block_size ? conf->logical_block_size : MIN_BLOCK_SIZE;
    uint64_t physical =
        conf->physical_block_size ? conf->physical_block_size : MAX(logical, MIN_BLOCK_SIZE);

    if (!check_block_size("logical_block_size", logical, errp) ||
        !check_block_size("physical_block_size", physical, errp)) {
        return false;
    }
    if (logical > physical) {
        error_setg(errp, "logical_block_size > physical_block_size not supported");
        return false;
    }
    if (!check_multiple("min_io_size", conf->min_io_size, logical, errp)) {
        return false;
    }
    /* The field that the guest reads has 16 bits. */
    if (conf->min_io_size / logical > UINT16_MAX) {
        error_setg(errp, "min_io_size must not exceed %d logical blocks", UINT16_MAX);
        return false;
    }
    if (!check_multiple("opt_io_size", conf->opt_io_size, logical, errp)) {
        return false;
    }
    if (conf->opt_io_size / logical > UINT32_MAX) {
        error_setg(errp, "opt_io_size must not exceed %u logical blocks", UINT32_MAX);
        return false;
    }
    if (conf->discard_granularity != UINT32_MAX &&
        !check_multiple("discard_granularity", conf->discard_granularity, logical, errp)) {
        return false;
    }
    conf->logical_block_size = logical;
    conf->physical_block_size = physical;
    return true;
}

bool block_conf_geometry(BlockConf *conf, Error **errp)
{
    uint64_t sectors = blk_length(conf->blk) / 512;

    if (!conf->cyls && !conf->heads && !conf->secs) {
        /* The largest that old partitioning tools knew. */
        conf->heads = 16;
        conf->secs = 63;
        conf->cyls = MIN(MAX(sectors / (16 * 63), 2), 16383);
        return true;
    }
    if (conf->cyls < 1 || conf->cyls > 65535) {
        error_setg(errp, "cyls must be between 1 and 65535");
        return false;
    }
    if (conf->heads < 1 || conf->heads > 255) {
        error_setg(errp, "heads must be between 1 and 255");
        return false;
    }
    if (conf->secs < 1 || conf->secs > 255) {
        error_setg(errp, "secs must be between 1 and 255");
        return false;
    }
    return true;
}

bool block_conf_acquire(BlockConf *conf, Object *dev, const BlockDevOps *ops, void *opaque,
                        Error **errp)
{
    uint64_t perm = BLOCK_PERM_CONSISTENT_READ;
    uint64_t shared = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_RESIZE;

    if (!conf->blk) {
        error_setg(errp, "drive property not set");
        return false;
    }
    if (!blk_node(conf->blk)) {
        error_setg(errp, "Device needs media, but drive is empty");
        return false;
    }
    if (!check_sizes(conf, errp)) {
        return false;
    }
    if (conf->rerror == BLOCKDEV_ON_ERROR_ENOSPC) {
        error_setg(errp, "rerror=enospc is not supported; try report, ignore or stop");
        return false;
    }
    if (!blk_attach_device(conf->blk, dev, ops, opaque, errp)) {
        return false;
    }
    perm |= blk_node(conf->blk)->read_only ? 0 : BLOCK_PERM_WRITE;
    shared |= conf->share_rw ? BLOCK_PERM_WRITE : 0;
    if (!blk_set_perm(conf->blk, perm, shared, errp)) {
        blk_detach_device(conf->blk);
        return false;
    }
    if (conf->write_cache != ON_OFF_AUTO_AUTO) {
        blk_set_write_cache(conf->blk, conf->write_cache == ON_OFF_AUTO_ON);
    }
    blk_set_on_error(conf->blk, conf->rerror, conf->werror);
    return true;
}

void block_conf_release(BlockConf *conf)
{
    blk_detach_device(conf->blk);
    /* The object may live on for a while; the node is free as soon as the device is gone. */
    if (!blk_name(conf->blk)) {
        blk_remove(conf->blk);
    }
}

BlockErrorAction block_conf_error(BlockConf *conf, bool is_read, int error)
{
    BlockErrorAction action = blk_error_action(conf->blk, is_read, error);

    blk_error_apply(conf->blk, action, is_read, error);
    if (action == BLOCK_ERROR_ACTION_STOP) {
        vm_stop_request(RUN_STATE_IO_ERROR);
    }
    return action;
}
