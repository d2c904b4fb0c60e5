/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of the block graph: opening, names, permissions, -drive. */
#include "util/osdep.h"
#include "block-fixture.h"
#include "util/cutils.h"

#define READ BLOCK_PERM_CONSISTENT_READ
#define WRITE BLOCK_PERM_WRITE
#define ALL BLOCK_PERM_ALL

static void expect_error(Error **err, const char *text)
{
    g_assert_nonnull(*err);
    g_assert_cmpstr(error_message(*err), ==, text);
    error_free(*err);
    *err = NULL;
}

static void add_fails(const char *json, const char *text)
{
    g_autoptr(JsonValue) o = test_options(json);
    Error *err = NULL;

    g_assert_null(block_node_add(o, &err));
    expect_error(&err, text);
}

static void add(const char *json)
{
    g_autoptr(JsonValue) o = test_options(json);

    g_assert_nonnull(block_node_add(o, &error_abort));
}

static void test_add_del(void)
{
    Error *err = NULL;

    add("{'driver':'null-co','node-name':'n0','size':65536}");
    add("{'driver':'raw','node-name':'r0','file':'n0'}");
    g_assert_cmpint(block_length(block_node_find("r0")), ==, 65536);
    g_assert_false(block_node_del("n0", &err));
    expect_error(&err, "Block device n0 is in use");
    g_assert_false(block_node_del("nope", &err));
    expect_error(&err, "Failed to find node with node-name='nope'");
    add("{'driver':'raw','node-name':'r1','file':{'driver':'null-co','size':4096}}");
    g_assert_false(block_node_del(block_node_find("r1")->file->node->node_name, &err));
    g_assert_nonnull(strstr(error_message(err), "is not owned by the monitor"));
    g_clear_pointer(&err, error_free);
    g_assert_true(block_node_del("r1", &error_abort));
    g_assert_true(block_node_del("r0", &error_abort));
    g_assert_true(block_node_del("n0", &error_abort));
    g_assert_null(block_node_find("n0"));
}

static void test_add_errors(void)
{
    add("{'driver':'null-co','node-name':'n0'}");
    add_fails("{'driver':'null-co','node-name':'n0'}", "Duplicate nodes with node-name='n0'");
    add_fails("{'driver':'null-co','node-name':'1x'}", "Invalid node-name: '1x'");
    add_fails("{'driver':'null-co','node-name':'abcdefghijabcdefghijabcdefghijab'}",
              "Node name too long");
    add_fails("{'driver':'null-co'}", "'node-name' must be specified for the root node");
    add_fails("{'driver':'raw','node-name':'x'}", "Parameter 'file' is missing");
    add_fails("{'driver':'null-co','node-name':'x','foo':1}", "Parameter 'foo' is unexpected");
    add_fails("{'driver':'raw','node-name':'x','file':'nonode'}",
              "Cannot find device='nonode' nor node-name='nonode'");
    add_fails(
        "{'driver':'null-co','node-name':'x','detect-zeroes':'unmap'}",
        "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap");
    add_fails("{'driver':'null-co','node-name':'x','force-share':true}",
              "force-share=on can only be used with read-only images");
    add_fails("{'driver':'raw','node-name':'x','file':'n0','offset':512,'size':4294967296}",
              "The sum of offset (512) and size (4294967296) has to be smaller or equal to the "
              " actual size of the containing file (1073741824)");
    add_fails("{'driver':'raw','node-name':'x','file':'n0','size':513}",
              "Specified size is not multiple of 512");
    add_fails(
        "{'driver':'raw','node-name':'x','file':'n0','offset':4294967296}",
        "Offset (4294967296) cannot be greater than size of the containing file (1073741824)");
    g_assert_null(block_node_find("x"));
    g_assert_true(block_node_del("n0", &error_abort));
}

static void test_options_forms(void)
{
    BlockNode *bn;

    /* Dotted, inherited flags, json: names. */
    bn = block_open(NULL,
                    test_options("{'driver':'raw','file.driver':'null-co','file.size':'1M',"
                                 "'read-only':'on','cache.direct':'on'}"),
                    BLOCK_OPEN_RDWR, &error_abort);
    g_assert_cmpint(block_length(bn), ==, MIB);
    g_assert_true(bn->read_only && bn->file->node->read_only);
    g_assert_true(bn->file->node->open_flags & BLOCK_OPEN_NOCACHE);
    block_node_unref(bn);
    bn = block_open("json:{\"driver\":\"raw\",\"offset\":512,\"file\":{\"driver\":\"null-co\"}}",
                    NULL, 0, &error_abort);
    g_assert_cmpint(block_length(bn), ==, GIB - 512);
    g_assert_true(g_str_has_prefix(bn->filename, "json:{"));
    g_assert_nonnull(strstr(bn->filename, "\"offset\": 512"));
    block_node_unref(bn);
    bn = block_open("null-co://", test_options("{'driver':'raw'}"), 0, &error_abort);
    g_assert_cmpstr(bn->filename, ==, "null-co://");
    block_node_unref(bn);
}

static void test_permissions(void)
{
    BlockNode *bn = test_node(
        "{'driver':'raw','node-name':'top','file':{'driver':'test-mem','node-name':'mem'}}");
    BlockNode *mem = block_node_find("mem");
    BlockBackend *a, *b;
    Error *err = NULL;

    a = test_backend(bn, READ | WRITE, READ | BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_RESIZE);
    g_assert_cmpint(mem->perm, ==, READ | WRITE);
    g_assert_cmpint(mem->shared_perm, ==, ALL & ~WRITE);

    b = blk_new(event_loop_main(), READ | WRITE, ALL);
    g_assert_false(blk_insert(b, bn, &err));
    expect_error(
        &err,
        "Permission conflict on node 'top': permissions 'write' are both required by an unnamed "
        "block device (uses node 'top' as 'root' child) and unshared by an unnamed block device "
        "(uses node 'top' as 'root' child).");
    g_assert_null(blk_node(b));
    blk_set_name(b, "second", &error_abort);
    g_assert_false(blk_insert(b, mem, &err));
    expect_error(
        &err,
        "Permission conflict on node 'mem': permissions 'write' are both required by block device "
        "'second' (uses node 'mem' as 'root' child) and unshared by node 'top' (uses node 'mem' as "
        "'file' child).");
    /* Readers that let others write are fine, until they do not. */
    g_assert_true(blk_set_perm(b, READ, ALL, &error_abort));
    g_assert_true(blk_insert(b, mem, &error_abort));
    g_assert_false(blk_set_perm(b, READ, READ, &err));
    expect_error(
        &err,
        "Permission conflict on node 'mem': permissions 'write' are both required by node 'top' "
        "(uses node 'mem' as 'file' child) and unshared by block device 'second' (uses node 'mem' "
        "as "
        "'root' child).");
    blk_unref(a);
    g_assert_cmpint(mem->perm, ==, READ);
    g_assert_true(blk_set_perm(b, READ, READ, &error_abort));
    blk_unref(b);
    block_node_unref(bn);
    g_assert_null(block_node_find("mem"));
}

static void test_read_only(void)
{
    BlockNode *bn = test_node("{'driver':'test-mem','node-name':'mem','read-only':true}");
    BlockBackend *blk = blk_new(event_loop_main(), WRITE, ALL);
    Error *err = NULL;
    char buf[512] = "";

    g_assert_false(blk_insert(blk, bn, &err));
    expect_error(&err, "Read-only block node 'mem' cannot support read-write users");
    blk_set_perm(blk, READ, ALL, &error_abort);
    blk_insert(blk, bn, &error_abort);
    g_assert_cmpint(blk_pwrite(blk, 0, sizeof(buf), buf, 0), ==, -EPERM);
    g_assert_cmpint(blk_pread(blk, 0, sizeof(buf), buf, 0), ==, 0);
    blk_unref(blk);
    block_node_unref(bn);
}

static void drive_fails(const char *text, const char *message)
{
    JsonValue *device;
    Error *err = NULL;

    g_assert_false(drive_option_add(text, &device, &err));
    expect_error(&err, message);
    g_assert_null(device);
}

static void test_drive(void)
{
    JsonValue *device = NULL;
    BlockBackend *blk;

    g_assert_true(
        drive_option_add("if=virtio,file=null-co://,format=raw,cache=none,werror=stop,serial=x1",
                         &device, &error_abort));
    g_assert_cmpstr(json_object_get_string(device, "drive"), ==, "virtio0");
    g_assert_cmpstr(json_object_get_string(device, "serial"), ==, "x1");
    json_unref(device);
    blk = blk_find("virtio0");
    g_assert_true(blk_node(blk)->open_flags & BLOCK_OPEN_NOCACHE);
    g_assert_cmpint(blk_on_error(blk, false), ==, BLOCKDEV_ON_ERROR_STOP);
    g_assert_true(blk_write_cache_enabled(blk));
    g_assert_true(drive_option_add(
        "if=none,id=d0,driver=raw,file.driver=null-co,cache=writethrough,readonly=on", &device,
        &error_abort));
    g_assert_null(device);
    g_assert_false(blk_write_cache_enabled(blk_find("d0")));
    g_assert_true(drive_option_add("if=none,id=empty", &device, &error_abort));
    g_assert_null(blk_node(blk_find("empty")));

    drive_fails("if=none,id=d0,file=null-co://,format=raw", "Duplicate ID 'd0' for drive");
    drive_fails("if=bogus,file=null-co://,format=raw", "unsupported bus type 'bogus'");
    drive_fails("if=none,file=null-co://,format=bogus", "Unknown driver 'bogus'");
    drive_fails("if=none,file=null-co://,format=raw,cache=bogus", "invalid cache option");
    drive_fails("if=none,file=null-co://,format=raw,aio=bogus", "invalid aio option");
    drive_fails("if=none,file=null-co://,format=raw,werror=bogus",
                "'bogus' invalid write error action");
    drive_fails("if=none,file=null-co://,format=raw,rerror=enospc",
                "'enospc' invalid read error action");
    drive_fails("if=none,file=null-co://,format=raw,discard=bogus", "Invalid discard option");
    drive_fails("if=none,file=null-co://,format=raw,detect-zeroes=bogus",
                "invalid parameter value: bogus");
    drive_fails("if=none,file=null-co://,format=raw,bogus=1",
                "Block format 'raw' does not support the option 'bogus'");
    drive_fails("if=none,file=null-co://,format=raw,readonly=maybe",
                "Parameter 'read-only' expects 'on' or 'off'");
    drive_fails("if=none,format=raw", "A block device must be specified for \"file\"");
    drive_fails("if=none,id=1d,file=null-co://,format=raw", "Parameter 'id' expects an identifier");
    drive_fails("if=none,file=null-co://,format=raw,snapshot=on",
                "-drive snapshot=on is not supported");
    drive_fails("if=none,id=d3,file=null-co://,format=raw,node-name=d0",
                "node-name=d0 is conflicting with a device id");
    g_assert_null(blk_find("d3"));
    block_close_all();
    g_assert_null(blk_find("virtio0"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    test_block_init();
    g_test_add_func("/block/graph/add-del", test_add_del);
    g_test_add_func("/block/graph/add-errors", test_add_errors);
    g_test_add_func("/block/graph/options", test_options_forms);
    g_test_add_func("/block/graph/permissions", test_permissions);
    g_test_add_func("/block/graph/read-only", test_read_only);
    g_test_add_func("/block/graph/drive", test_drive);
    return g_test_run();
}
