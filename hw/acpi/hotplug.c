/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the register blocks for CPUs and for memory have in common: slots with
 * events, the guest's reports (ACPI 6.4, section 6.3.5, _OST), and ejection.
 *
 * Main thread and vCPU threads, with the machine lock. The guest may write
 * anything at any time: the worst it gets is that its own devices are removed.
 * Removal is left to the main thread, because a CPU can eject itself.
 */
#include "util/osdep.h"

#include "hw/acpi/hotplug.h"
#include "qapi-commands.h"
#include "qapi-events.h"
#include "trace-hw-acpi.h"

/* _OST: what a report is about, and the results that are no refusal. */
enum {
    OST_EJECT = 3, OST_EJECT_PROCESSING = 0x103,
    OST_SUCCESS = 0, OST_EJECT_IN_PROGRESS = 0x84,
};

static AcpiSlots *all_slots;

AcpiSlot *acpi_slots_selected(AcpiSlots *s)
{
    return s->selector < s->count ? &s->slots[s->selector] : NULL;
}

/* ---- events ---- */

void acpi_slots_plug(AcpiSlots *s, unsigned n, DeviceState *dev)
{
    AcpiSlot *slot = &s->slots[n];

    *slot = (AcpiSlot){ .dev = dev, .inserted = dev->hotplugged };
    if (slot->inserted) {
        ged_raise(s->ged, s->event);
    }
}

void acpi_slots_request(AcpiSlots *s, unsigned n)
{
    s->slots[n].remove = true;
    ged_raise(s->ged, s->event);
}

void acpi_slots_unplug(AcpiSlots *s, unsigned n)
{
    AcpiSlot *slot = &s->slots[n];

    slot->dev = NULL;
    slot->inserted = slot->remove = slot->eject = false;
}

static void eject_devices(void *opaque)
{
    AcpiSlots *s = opaque;

    for (unsigned n = 0; n < s->count; n++) {
        DeviceState *dev = s->slots[n].dev;

        if (s->slots[n].eject && dev) {
            s->slots[n].eject = false;
            trace_acpi_eject(ACPISlotType_str(s->type), n);
            device_unplug_finish(dev);
        }
    }
}

/* ---- registers ---- */

uint8_t acpi_slots_flags(AcpiSlots *s)
{
    const AcpiSlot *slot = acpi_slots_selected(s);

    return !slot ? 0
           : (slot->dev ? ACPI_SLOT_ENABLED : 0) | (slot->inserted ? ACPI_SLOT_INSERTED : 0) |
             (slot->remove ? ACPI_SLOT_REMOVE : 0);
}

/* The first CPU starts the machine again after a reset. */
static bool can_eject(const AcpiSlots *s, unsigned n)
{
    return s->slots[n].dev && !(s->type == ACPI_SLOT_TYPE_CPU && n == 0);
}

void acpi_slots_write_flags(AcpiSlots *s, uint8_t value)
{
    AcpiSlot *slot = acpi_slots_selected(s);

    if (!slot) {
        return;
    }
    if (value & ACPI_SLOT_INSERTED) {
        slot->inserted = false;
    }
    if (value & ACPI_SLOT_REMOVE) {
        slot->remove = false;
    }
    if ((value & ACPI_SLOT_EJECT) && can_eject(s, s->selector)) {
        slot->eject = true;
        bh_schedule(s->eject);
    }
}

/* ---- reports ---- */

static ACPIOSTInfo *describe(const AcpiSlots *s, unsigned n)
{
    ACPIOSTInfo *info = g_new0(ACPIOSTInfo, 1);
    const AcpiSlot *slot = &s->slots[n];

    info->device = slot->dev ? g_strdup(slot->dev->id) : NULL;
    info->slot = g_strdup_printf("%u", n);
    info->slot_type = s->type;
    info->source = slot->ost_event;
    info->status = slot->ost_status;
    return info;
}

static void report_refusal(DeviceState *dev)
{
    g_autofree char *path = object_path(dev);

    qapi_event_send_DEVICE_UNPLUG_GUEST_ERROR(dev->id, path);
}

void acpi_slots_set_ost_event(AcpiSlots *s, uint32_t event)
{
    AcpiSlot *slot = acpi_slots_selected(s);

    if (slot) {
        slot->ost_event = event;
    }
}

void acpi_slots_set_ost_status(AcpiSlots *s, uint32_t status)
{
    AcpiSlot *slot = acpi_slots_selected(s);
    g_autoptr(ACPIOSTInfo) info = NULL;

    if (!slot) {
        return;
    }
    slot->ost_status = status;
    info = describe(s, s->selector);
    trace_acpi_ost(ACPISlotType_str(s->type), s->selector, slot->ost_event, status);
    qapi_event_send_ACPI_DEVICE_OST(info);
    if (slot->dev && !slot->eject && status != OST_SUCCESS && status != OST_EJECT_IN_PROGRESS &&
        (slot->ost_event == OST_EJECT || slot->ost_event == OST_EJECT_PROCESSING)) {
        report_refusal(slot->dev);
    }
}

ACPIOSTInfoList *qmp_query_acpi_ospm_status(Error **errp)
{
    ACPIOSTInfoList *list = NULL, **end = &list;

    if (!all_slots) {
        error_setg(errp, "command is not supported, missing ACPI device");
    }
    for (AcpiSlots *s = all_slots; s; s = s->next) {
        for (unsigned n = 0; n < s->count; n++) {
            *end = g_new0(ACPIOSTInfoList, 1);
            (*end)->value = describe(s, n);
            end = &(*end)->next;
        }
    }
    return list;
}

/* ---- life ---- */

static void slots_unrealize(DeviceState *dev)
{
    AcpiSlots *s = ACPI_SLOTS(dev), **p = &all_slots;

    while (*p != s) {
        p = &(*p)->next;
    }
    *p = s->next;
    bh_delete(s->eject);
    memory_region_cleanup(&s->io);
}

/* What is there at power-on is no news; who was asked to leave has forgotten it. */
static void slots_reset(DeviceState *dev)
{
    AcpiSlots *s = ACPI_SLOTS(dev);

    s->selector = s->command = 0;
    for (unsigned n = 0; n < s->count; n++) {
        s->slots[n].inserted = s->slots[n].remove = false;
    }
}

static void slots_finalize(Object *obj)
{
    g_free(((AcpiSlots *)obj)->slots);
}

/* The inverse comes with devices that the other side has as well. */
static void save_slots(StateStream *stream, const void *field, const void *opaque)
{
    const AcpiSlots *s = opaque;

    for (unsigned n = 0; n < s->count; n++) {
        const AcpiSlot *slot = &s->slots[n];

        state_put_u8(stream, slot->inserted | slot->remove << 1 | slot->eject << 2);
        state_put_u32(stream, slot->ost_event);
        state_put_u32(stream, slot->ost_status);
    }
}

static bool load_slots(StateStream *stream, void *field, void *opaque)
{
    AcpiSlots *s = opaque;

    for (unsigned n = 0; n < s->count; n++) {
        AcpiSlot *slot = &s->slots[n];
        uint8_t flags = state_get_u8(stream);

        slot->inserted = flags & 1;
        slot->remove = flags & 2;
        slot->eject = (flags & 4) && can_eject(s, n);
        slot->ost_event = state_get_u32(stream);
        slot->ost_status = state_get_u32(stream);
        if (slot->eject) {
            bh_schedule(s->eject);
        }
    }
    return state_ok(stream);
}

static const StateTable slots_state = {
    .name = "acpi-hotplug", .version = 1, .minimum_version = 1,
    .fields = (const StateField[]) {
        STATE_F_UINT32(AcpiSlots, selector),
        STATE_F_UINT32(AcpiSlots, command),
        STATE_F_CUSTOM(AcpiSlots, slots, save_slots, load_slots),
        STATE_F_END
    },
};

static const DeviceOps slots_ops = {
    .unrealize = slots_unrealize, .reset = slots_reset, .state = &slots_state,
};

OBJECT_TYPE(acpi_slots_type) = {
    .name = "acpi-hotplug-slots", .parent = &device_type, .abstract = true,
    .instance_size = sizeof(AcpiSlots), .instance_finalize = slots_finalize,
    .impls = TYPE_IMPLS({ &device_type, &slots_ops }),
};

AcpiSlots *acpi_slots_create(Object *parent, const TypeInfo *type, uint32_t count, GedState *ged,
                             Error **errp)
{
    const AcpiSlotsOps *ops = type_ops(type, &acpi_slots_type);
    DeviceState *dev = device_new(type);
    AcpiSlots *s = ACPI_SLOTS(dev);

    s->ged = ged;
    s->event = ops->event;
    s->type = ops->type;
    s->count = count;
    s->slots = g_new0(AcpiSlot, count);
    object_add_child(parent, type->name, dev, &error_abort);
    memory_region_init_io(&s->io, OBJECT(s), &ops->registers, s, type->name, ops->size);
    s->eject = bh_new(event_loop_main(), eject_devices, s);
    s->next = all_slots;
    all_slots = s;
    return device_realize_and_unref(dev, NULL, errp) ? s : NULL;
}
