/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine `virt` under the names of Q35 machines, for configurations that
 * cannot be changed: the same hardware, with settings of what a Q35 has and
 * this machine has not. Main thread with the machine lock, at start-up.
 */
#include "util/osdep.h"
#include "machine.h"

/* ---- settings of absent parts: they may be switched off ---- */

static bool refuse_if(bool on, Object *obj, const ObjectProperty *p, Error **errp)
{
    if (on) {
        error_setg(errp, "Property '%s.%s' must be off: the machine has no %s", obj->type->name,
                   p->name, (const char *)p->arg);
    }
    return !on;
}

static bool set_absent(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    bool *field = property_field(obj, p);

    if (!prop_kind_bool.set(obj, p, value, errp)) {
        return false;
    }
    if (!refuse_if(*field, obj, p, errp)) {
        *field = false;
        return false;
    }
    return true;
}

static bool set_absent_auto(Object *obj, const ObjectProperty *p, const JsonValue *value,
                            Error **errp)
{
    int *field = property_field(obj, p);

    if (!prop_kind_on_off_auto.set(obj, p, value, errp)) {
        return false;
    }
    if (!refuse_if(*field == ON_OFF_AUTO_ON, obj, p, errp)) {
        *field = ON_OFF_AUTO_AUTO;
        return false;
    }
    return true;
}

static bool get_acpi(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_string(MACHINE(obj)->acpi ? "auto" : "off");
    return true;
}

static bool set_acpi(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    VirtMachine *v = VIRT_MACHINE(obj);

    if (!prop_kind_on_off_auto.set(obj, p, value, errp)) {
        return false;
    }
    v->machine.acpi = v->acpi_choice != ON_OFF_AUTO_OFF;
    return true;
}

#define ABSENT(n, field_, what)                                                         \
    { .name = (n), .kind = &prop_kind_bool, .offset = offsetof(VirtMachine, field_),    \
      .set = set_absent, .arg = (what), .description = "there is no " what }
#define ABSENT_AUTO(n, field_, what)                                                    \
    { .name = (n), .kind = &prop_kind_on_off_auto,                                      \
      .offset = offsetof(VirtMachine, field_), .set = set_absent_auto,                  \
      .arg = (what), .def.i = ON_OFF_AUTO_AUTO, .description = "there is no " what }

const ObjectProperty virt_machine_properties[] = {
    PROP_STRING("pflash0", VirtMachine, flash_node[0], "Node name or ID of a block device to use as a backend"),
    PROP_STRING("pflash1", VirtMachine, flash_node[1], "Node name or ID of a block device to use as a backend"),
    { .name = "acpi", .kind = &prop_kind_on_off_auto,
      .offset = offsetof(VirtMachine, acpi_choice), .get = get_acpi, .set = set_acpi,
      .def.i = ON_OFF_AUTO_AUTO, .description = "ACPI tables" },
    ACPI_DIMMS_PROPERTIES(VirtMachine, dimms),
    MACHINE_NUMA_PROPERTIES,
    ABSENT_AUTO("smm", absent.smm, "system management mode"),
    ABSENT_AUTO("vmport", absent.vmport, "VMware I/O port"),
    ABSENT("hpet", absent.hpet, "HPET"),
    ABSENT("pit", absent.pit, "interval timer"),
    ABSENT("i8042", absent.i8042, "PS/2 controller"),
    ABSENT("sata", absent.sata, "SATA controller"),
    ABSENT("smbus", absent.smbus, "SMBus controller"),
    PROP_END
};

/* ---- "-global ICH9-LPC.disable_s3=1" ---- */

/* What a Q35's south bridge would be asked: here, that the machine cannot sleep. */
typedef struct Ich9Settings {
    DeviceState dev;
    uint8_t disable_s3, disable_s4;
} Ich9Settings;

static const ObjectProperty ich9_properties[] = {
    PROP_UINT8("disable_s3", Ich9Settings, disable_s3, 1, "no suspend to RAM: must be 1"),
    PROP_UINT8("disable_s4", Ich9Settings, disable_s4, 1, "no suspend to disk: must be 1"),
    PROP_END
};

static bool ich9_realize(DeviceState *dev, Error **errp)
{
    const Ich9Settings *s = (const Ich9Settings *)dev;

    if (!s->disable_s3 || !s->disable_s4) {
        error_setg(errp, "ICH9-LPC.%s=0 is not supported: the machine cannot sleep",
                   s->disable_s3 ? "disable_s4" : "disable_s3");
        return false;
    }
    return true;
}

static const DeviceOps ich9_ops = { .realize = ich9_realize, .state = &state_table_none };

OBJECT_TYPE_STATIC(ich9_type) = {
    .name = "ICH9-LPC", .parent = &device_type, .instance_size = sizeof(Ich9Settings),
    .description = "Sleep states of a Q35: off", .properties = ich9_properties,
    .impls = TYPE_IMPLS({ &device_type, &ich9_ops }),
};

static bool q35_init(MachineState *m, Error **errp)
{
    DeviceState *dev = device_new(&ich9_type);

    object_add_child(OBJECT(m), "ich9-lpc", dev, &error_abort);
    return device_realize_and_unref(dev, NULL, errp) && virt_machine_init(m, errp);
}

/* ---- the names ---- */

#define Q35_MACHINE(ident, version, alias_, old_numa)                                   \
    static const MachineOps ident##_ops = {                                             \
        .name = "pc-q35-" version, .alias = alias_,                                     \
        .description = "The machine virt-1.0 under the name of a Q35",                  \
        .max_cpus = VIRT_MAX_CPUS, .default_cpu_type = "qemu64-x86_64-cpu",             \
        .default_ram_id = "pc.ram", .default_ram_size = 128 * MIB, .cpu_dies = true,    \
        .numa = true, .numa_mem_supported = (old_numa),                                 \
        .hotpluggable_cpus = CONFIG_CPU_HOTPLUG,                                        \
        .init = q35_init, .ready = virt_machine_ready, .reset = virt_machine_reset,     \
    };                                                                                  \
    OBJECT_TYPE_STATIC(ident##_type) = {                                                \
        .name = "pc-q35-" version "-machine", .parent = &virt_machine_type,             \
        .description = "The machine virt-1.0 under the name of a Q35",                  \
        .impls = TYPE_IMPLS({ &machine_type, &ident##_ops }),                           \
    }

Q35_MACHINE(q35_4_2, "4.2", NULL, true);
Q35_MACHINE(q35_5_0, "5.0", NULL, true);
Q35_MACHINE(q35_5_1, "5.1", NULL, false);
Q35_MACHINE(q35_5_2, "5.2", NULL, false);
Q35_MACHINE(q35_6_0, "6.0", NULL, false);
Q35_MACHINE(q35_6_1, "6.1", NULL, false);
Q35_MACHINE(q35_6_2, "6.2", NULL, false);
Q35_MACHINE(q35_7_0, "7.0", NULL, false);
Q35_MACHINE(q35_7_1, "7.1", NULL, false);
Q35_MACHINE(q35_7_2, "7.2", "q35", false);
