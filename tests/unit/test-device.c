/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of hw/core: life of devices, buses, hot-plug, reset order, wires, topology. */
#include "util/osdep.h"
#include "hw/core/machine.h"
#include "qapi-events.h"

static GString *journal;
static GString *events;

static void note_event(int event, JsonValue *data)
{
    GString *text = json_print(data, JSON_COMPACT);

    g_string_append_printf(events, "%d:%s;", event == QAPI_EVENT_DEVICE_DELETED, text->str);
    g_string_free(text, TRUE);
    json_unref(data);
}

/* ---- a bus, a bridge that has one, a leaf ---- */

typedef struct Bridge {
    DeviceState dev;
    BusState bus;
    uint32_t refuse;            /* realize fails */
    IrqLine out[2];
} Bridge;

static void toy_bus_reset(BusState *bus)
{
    g_string_append_printf(journal, "reset-bus(%s) ", bus->name);
}

static const BusOps toy_bus_ops = { .kind_name = "toy", .reset = toy_bus_reset };

extern const TypeInfo toy_bus_type, single_bus_type, bridge_type, leaf_type;

OBJECT_TYPE(toy_bus_type) = {
    .name = "toy-bus", .parent = &bus_type,
    .impls = TYPE_IMPLS({ &bus_type, &toy_bus_ops }),
};

static const BusOps single_bus_ops = { .full_when_one = true };

OBJECT_TYPE(single_bus_type) = {
    .name = "single-bus", .parent = &toy_bus_type,
    .impls = TYPE_IMPLS({ &bus_type, &single_bus_ops }),
};

static bool toy_pre_plug(void *opaque, DeviceState *dev, Error **errp)
{
    g_string_append_printf(journal, "pre-plug(%s,%d) ", dev->id, dev->hotplugged);
    return true;
}

static bool toy_plug(void *opaque, DeviceState *dev, Error **errp)
{
    g_string_append_printf(journal, "plug(%s) ", dev->id);
    return true;
}

static bool toy_unplug_request(void *opaque, DeviceState *dev, Error **errp)
{
    g_string_append_printf(journal, "unplug-request(%s) ", dev->id);
    return true;
}

static const HotplugOps toy_hotplug = {
    .pre_plug = toy_pre_plug, .plug = toy_plug, .unplug_request = toy_unplug_request,
};

static bool toy_realize(DeviceState *dev, Error **errp)
{
    Bridge *b = (Bridge *)dev;

    if (b->refuse == 1) {
        error_setg(errp, "no wish to");
        return false;
    }
    g_string_append_printf(journal, "realize(%s) ", dev->id);
    return true;
}

static void toy_unrealize(DeviceState *dev)
{
    g_string_append_printf(journal, "unrealize(%s) ", dev->id);
}

static void toy_reset(DeviceState *dev)
{
    g_string_append_printf(journal, "reset(%s) ", dev->id);
}

static void on_line(void *opaque, int n, int level)
{
    g_string_append_printf(journal, "line(%d=%d) ", n, level);
}

static void leaf_init(Object *obj)
{
    device_init_gpio_in(DEVICE(obj), NULL, on_line, 4);
    device_init_gpio_out(DEVICE(obj), "out", ((Bridge *)obj)->out, 2);
}

static bool bridge_realize(DeviceState *dev, Error **errp)
{
    Bridge *b = (Bridge *)dev;

    bus_init(&b->bus, b->refuse == 2 ? &single_bus_type : &toy_bus_type, dev, NULL);
    b->bus.hotplug = &toy_hotplug;
    return toy_realize(dev, errp);
}

static void bridge_unrealize(DeviceState *dev)
{
    toy_unrealize(dev);
    bus_cleanup(&((Bridge *)dev)->bus);
}

static const ObjectProperty toy_properties[] = {
    PROP_UINT32("refuse", Bridge, refuse, 0, NULL),
    PROP_END
};

static const DeviceOps bridge_ops = {
    .realize = bridge_realize, .unrealize = bridge_unrealize, .reset = toy_reset,
    .state = &state_table_none, .user_creatable = true,
};

OBJECT_TYPE(bridge_type) = {
    .name = "bridge", .parent = &device_type, .instance_size = sizeof(Bridge),
    .properties = toy_properties, .impls = TYPE_IMPLS({ &device_type, &bridge_ops }),
};

static const DeviceOps leaf_ops = {
    .realize = toy_realize, .unrealize = toy_unrealize, .reset = toy_reset,
    .state = &state_table_none, .bus = &toy_bus_type, .user_creatable = true, .hotpluggable = true,
};

OBJECT_TYPE(leaf_type) = {
    .name = "leaf", .parent = &device_type, .instance_size = sizeof(Bridge),
    .properties = toy_properties, .instance_init = leaf_init,
    .impls = TYPE_IMPLS({ &device_type, &leaf_ops }),
};

static const MachineOps test_machine_ops = {
    .name = "test-1.0", .alias = "test", .max_cpus = 16, .cpu_dies = true,
};

OBJECT_TYPE_STATIC(test_machine_type) = {
    .name = "test-1.0-machine", .parent = &machine_type,
    .impls = TYPE_IMPLS({ &machine_type, &test_machine_ops }),
};

/* ---- helpers ---- */

static DeviceState *add(const char *keyval, Error **errp)
{
    g_autoptr(JsonValue) options = keyval_parse(keyval, "driver", NULL, &error_abort);

    return device_add(options, errp);
}

static void add_fails(const char *keyval, const char *message)
{
    Error *err = NULL;

    g_assert_null(add(keyval, &err));
    g_assert_cmpstr(error_message(err), ==, message);
    error_free(err);
}

static void expect_journal(const char *text)
{
    g_assert_cmpstr(journal->str, ==, text);
    g_string_truncate(journal, 0);
}

/* ---- tests, in order: the machine grows ---- */

static void test_add(void)
{
    add_fails("leaf,id=l0", "No 'toy' bus found for device 'leaf'");
    add_fails("nothing", "'nothing' is not a valid device model name");
    add_fails("container", "'container' is not a valid device model name");
    add_fails("device", "Parameter 'driver' expects a non-abstract device type");
    add_fails("leaf,bus=b0", "Bus 'b0' not found");
    add_fails("bridge,id=0b", "Parameter 'id' expects an identifier");
    add_fails("bridge,id=b0,refuse=1", "no wish to");
    g_assert_null(object_resolve("/machine/peripheral/b0", NULL));
    add_fails("bridge,id=b0,nope=1", "Property 'bridge.nope' not found");
    add("bridge,id=b0", &error_abort);
    expect_journal("realize(b0) ");
    add_fails("bridge,id=b0", "Duplicate device ID 'b0'");
    add_fails("bridge,bus=b0.0", "Device 'bridge' can't go on toy bus");
    add("leaf,id=l0", &error_abort);
    expect_journal("pre-plug(l0,0) realize(l0) plug(l0) ");
    g_assert_true(bus_find("b0.0", NULL) == bus_find("b0", NULL));
    add("bridge,id=one,refuse=2", &error_abort);
    add("leaf,bus=one.0,id=l1", &error_abort);
    add_fails("leaf,bus=one.0", "Bus 'one.0' is full");
    g_string_truncate(journal, 0);
}

static void test_frozen(void)
{
    DeviceState *dev = device_find("l0", &error_abort);
    Error *err = NULL;

    g_assert_false(object_property_set_int(dev, "refuse", 1, &err));
    g_assert_cmpstr(error_message(err), ==, "Attempt to set property 'refuse' on device 'l0' "
                    "(type 'leaf') after it was realized");
    error_free(err);
}

static void test_reset(void)
{
    reset_all();
    expect_journal("reset(l1) reset(one) reset(l0) reset-bus(b0.0) reset(b0) ");
}

static void test_lines(void)
{
    DeviceState *from = device_find("l0", &error_abort), *to = device_find("l1", &error_abort);
    IrqLine *out = ((Bridge *)from)->out;

    device_connect_gpio_out(from, "out", 1, device_gpio_in(to, NULL, 3));
    irq_raise(&out[1]);
    irq_raise(&out[0]);
    expect_journal("line(3=1) ");
    g_assert_null(device_gpio_in(to, NULL, 4));
    g_assert_null(device_gpio_in(to, "x", 0));
    g_assert_true(device_intercept_gpio(to, NULL, false, on_line, NULL));
    irq_lower(&out[1]);
    expect_journal("line(3=0) line(3=0) ");
    g_assert_true(device_intercept_gpio(from, "out", true, on_line, NULL));
    irq_raise(&out[1]);
    expect_journal("line(1=1) ");
    g_assert_false(device_intercept_gpio(from, NULL, true, on_line, NULL));
}

static void test_globals(void)
{
    device_global_add("leaf", "refuse", "7");
    g_assert_cmpuint(((Bridge *)add("leaf,id=l2,bus=b0", &error_abort))->refuse, ==, 7);
    device_global_add("leaf", "nope", "7");
    add_fails("leaf,bus=b0", "can't apply global leaf.nope=7: Property 'leaf.nope' not found");
    g_string_truncate(journal, 0);
}

static void test_unplug(void)
{
    DeviceState *dev = device_find("l0", &error_abort);
    Error *err = NULL;

    device_set_machine_ready();
    add_fails("bridge,id=b9", "Parameter 'driver' expects a pluggable device type");
    device_del("l0", &error_abort);
    expect_journal("unplug-request(l0) ");
    g_assert_false(device_del("l0", &err));
    g_assert_cmpstr(error_message(err), ==, "Device l0 is already in the process of unplug");
    g_clear_pointer(&err, error_free);
    g_assert_false(device_del("b0", &err));
    g_clear_pointer(&err, error_free);
    g_assert_false(device_del("nothing", &err));
    g_assert_cmpint(error_class(err), ==, ERROR_CLASS_DEVICE_NOT_FOUND);
    g_clear_pointer(&err, error_free);
    g_assert_cmpstr(events->str, ==, "");
    device_unplug_finish(dev);
    expect_journal("unrealize(l0) ");
    g_assert_cmpstr(events->str, ==,
                    "1:{\"device\": \"l0\", \"path\": \"/machine/peripheral/l0\"};");
    g_string_truncate(events, 0);
    /* A bridge takes what is behind it along. */
    object_unparent(device_find("b0", &error_abort));
    expect_journal("unrealize(l2) unrealize(b0) ");
    g_assert_nonnull(strstr(events->str, "/machine/peripheral/l2"));
}

static void topology(const char *text, const char *message, unsigned cpus, unsigned sockets,
                     unsigned dies, unsigned cores, unsigned threads)
{
    MachineState *m = machine_current();
    CpuTopologyOptions o = { 0 };
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    Error *err = NULL;
    bool ok;

    for (char **w = words; *w && **w; w++) {
        uint64_t v = strtoul(strchr(*w, '=') + 1, NULL, 0);

        switch (**w) {
        case 'n': o.has_cpus = true; o.cpus = v; break;
        case 'm': o.has_maxcpus = true; o.maxcpus = v; break;
        case 's': o.has_sockets = true; o.sockets = v; break;
        case 'd': o.has_dies = true; o.dies = v; break;
        case 'l': o.has_clusters = true; o.clusters = v; break;
        case 'c': o.has_cores = true; o.cores = v; break;
        case 't': o.has_threads = true; o.threads = v; break;
        default: g_assert_not_reached();
        }
    }
    ok = machine_set_topology(m, &o, &err);
    if (message) {
        g_assert_false(ok);
        g_assert_cmpstr(error_message(err), ==, message);
        error_free(err);
        return;
    }
    g_assert_true(ok);
    g_assert_cmpuint(m->smp.cpus, ==, cpus);
    g_assert_cmpuint(m->smp.sockets, ==, sockets);
    g_assert_cmpuint(m->smp.dies, ==, dies);
    g_assert_cmpuint(m->smp.cores, ==, cores);
    g_assert_cmpuint(m->smp.threads, ==, threads);
}

static void test_topology(void)
{
    topology("", NULL, 1, 1, 1, 1, 1);
    topology("n=4", NULL, 4, 1, 1, 4, 1);
    topology("n=2,m=8,s=2", NULL, 2, 2, 1, 4, 1);
    topology("n=8,t=2", NULL, 8, 1, 1, 4, 2);
    topology("n=8,c=2", NULL, 8, 4, 1, 2, 1);
    topology("s=2,d=2,c=2,t=2", NULL, 16, 2, 2, 2, 2);
    topology("n=8,s=2,c=2", NULL, 8, 2, 1, 2, 2);
    topology("n=4,c=3", "Invalid CPU topology: product of the hierarchy must match maxcpus: "
             "sockets (1) * dies (1) * cores (3) * threads (1) != maxcpus (4)", 0, 0, 0, 0, 0);
    topology("n=4,m=2", "Invalid CPU topology: maxcpus must be equal to or greater than smp: "
             "sockets (1) * dies (1) * cores (2) * threads (1) == maxcpus (2) < smp_cpus (4)",
             0, 0, 0, 0, 0);
    topology("n=17", "Invalid SMP CPUs 17. The max CPUs supported by machine 'test-1.0' is 16",
             0, 0, 0, 0, 0);
    topology("n=4,l=2", "clusters not supported by this machine's CPU topology", 0, 0, 0, 0, 0);
    topology("n=4096,s=4096,d=4096,c=4096,t=4096", "Invalid CPU topology: product of the "
             "hierarchy must match maxcpus: sockets (4096) * dies (4096) * cores (4096) * "
             "threads (4096) != maxcpus (4096)", 0, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    journal = g_string_new(NULL);
    qapi_event_set_sink(note_event);
    events = g_string_new(NULL);
    g_assert_true(machine_find("test", NULL) == &test_machine_type);
    g_assert_null(machine_find("tes", NULL));
    machine_new(&test_machine_type);
    g_test_add_func("/device/add", test_add);
    g_test_add_func("/device/frozen", test_frozen);
    g_test_add_func("/device/reset", test_reset);
    g_test_add_func("/device/lines", test_lines);
    g_test_add_func("/device/globals", test_globals);
    g_test_add_func("/device/unplug", test_unplug);
    g_test_add_func("/device/topology", test_topology);
    return g_test_run();
}
