/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * accel/kvm, target/i386 and system/cpus with a few bytes of guest code: port
 * and register exits, HLT and irqfds, ioeventfds, two CPUs, pausing while the
 * guest runs, register access, the dirty log, guests that crash.
 *
 * Needs /dev/kvm, a software one will do: the guest is plain integer code. What
 * this lacks of a machine (run state, resets) is made up here.
 */
#include "util/osdep.h"
#include "accel/accel.h"
#include "system/machine-lock.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "target/i386/boot.h"
#include "target/i386/cpu.h"
#include "util/rcu.h"

/* ---- the machine around it ---- */

OBJECT_TYPE(device_type) = {
    .name = "device", .parent = &object_type, .abstract = true, .instance_size = sizeof(DeviceState),
};
OBJECT_TYPE(accel_type) = {
    .name = "accel", .parent = &object_type, .abstract = true, .instance_size = sizeof(AccelState),
};

static MachineState machine = { .smp = { 2, 2, 1, 1, 1, 2, 1 } };
static AccelState *accel;
static RunStateHandler *run_state_handler;
static pthread_cond_t event_cond = PTHREAD_COND_INITIALIZER;
static unsigned stop_requests, reset_requests;

MachineState *machine_current(void)
{
    return &machine;
}

const AccelOps *accel_ops(void)
{
    return accel ? object_ops(accel, &accel_type) : NULL;
}

bool accel_is_chosen(const char *name)
{
    return true;
}

void reset_register(ResetFunc *fn, void *opaque)
{
}

struct RunStateNotifier *run_state_notify(RunStateHandler *fn, void *opaque, int priority)
{
    run_state_handler = fn;
    return NULL;
}

void vm_stop_request(RunState s)
{
    g_assert_cmpint(s, ==, RUN_STATE_INTERNAL_ERROR);
    stop_requests++;
    pthread_cond_broadcast(&event_cond);
}

void system_reset_request(ShutdownCause cause)
{
    g_assert_cmpint(cause, ==, SHUTDOWN_CAUSE_GUEST_RESET);
    reset_requests++;
    pthread_cond_broadcast(&event_cond);
}

void system_shutdown_request(ShutdownCause cause)
{
    g_assert_not_reached();
}

void system_guest_panicked(GuestPanicInformation *info)
{
    g_assert_not_reached();
}

/* ---- guest code; everything is linked to run at its offset from CODE ---- */

#define CODE 0x10000
#define GDT 0x1000
#define IDT 0x2000
#define IDT_POINTER 0x2800
#define COUNTERS 0x3000
#define PAGE_TABLES 0x4000      /* one, one, and four of large pages */
#define RAM_SIZE (4 * MIB)
#define MMIO 0xd0000000u
#define VECTOR 0x40

extern const uint8_t guest_code[], guest_code_end[], guest_main[], guest_second[], guest_irq[],
    guest_count[], guest_dirty[], guest_crash[], guest_garbage[];

__asm__(
    ".pushsection .rodata\n"
    ".globl guest_code, guest_code_end, guest_main, guest_second, guest_irq\n"
    ".globl guest_count, guest_dirty, guest_crash, guest_garbage\n"
    "guest_code:\n"
    ".code64\n"
    /* Ports and registers of each size, an event, then sleep for an interrupt. */
    "guest_main:\n"
    "  mov $0x11, %al\n  out %al, $0x80\n"
    "  in $0x80, %al\n  out %al, $0x80\n"
    "  mov $0x2233, %eax\n  out %ax, $0x80\n"
    "  mov $0xd0000000, %ebx\n"
    "  movl $0x44556677, (%rbx)\n"
    "  mov 4(%rbx), %eax\n  out %eax, $0x80\n"
    "  movb $0x99, 3(%rbx)\n"
    "  mov $0xd1000000, %ecx\n"
    "  mov (%rcx), %eax\n  out %eax, $0x80\n"          /* nothing there */
    "  in $0x99, %ax\n  out %ax, $0x80\n"
    "  mov $0xe0000000, %ecx\n"
    "  movl $0x1234, (%rcx)\n"                         /* read-only memory */
    "  mov (%rcx), %eax\n  out %eax, $0x80\n"
    "  movw $7, 0x10(%rbx)\n"                          /* matches the event */
    "  movw $8, 0x10(%rbx)\n"                          /* does not */
    "  movl $5, 0x20(%rbx)\n"                          /* any write is an event */
    "  mov $1, %al\n  out %al, $0x90\n"                /* and a port's */
    "  lidt 0x2800\n"
    "  mov $0xfee00000, %edx\n"
    "  movl $0x1ff, 0xf0(%rdx)\n"                      /* local APIC on */
    "  mov $0xe0, %al\n  out %al, $0x80\n"
    "1: sti\n  hlt\n"
    "  cli\n  mov $0xaa, %al\n  out %al, $0x80\n"
    "  jmp 1b\n"
    "guest_irq:\n"
    "  mov $0x55, %al\n  out %al, $0x80\n"
    "  movl $0, 0xb0(%rdx)\n  iretq\n"
    ".code32\n"
    "guest_second:\n"
    "  mov $0x77, %al\n  out %al, $0x80\n"
    "1: incl 0x3004\n  jmp 1b\n"
    /* Count forever, with an exit now and then. */
    "guest_count:\n"
    "1: incl 0x3000\n  testb $0xff, 0x3000\n  jnz 1b\n"
    "  mov 0xd0000004, %eax\n  jmp 1b\n"
    "guest_dirty:\n"
    "  movl $1, 0x100000\n  movl $1, 0x141004\n  movl $1, 0x3ff000\n"
    "  mov $0xd1, %al\n  out %al, $0x80\n"
    "1: hlt\n  jmp 1b\n"
    "guest_crash:\n"
    "  lidt 0x2810\n  movl $1, 0x3008\n  ud2\n"
    "guest_garbage:\n"
    "  mov $0xf0000000, %eax\n  jmp *%eax\n"           /* to where nothing is */
    "guest_code_end:\n"
    ".code64\n"
    ".popsection\n");

static uint32_t guest_address(const uint8_t *label)
{
    return CODE + (label - guest_code);
}

/* ---- devices ---- */

static MemoryRegion ram, rom, port, doorbell, bar;
static uint64_t port_log[64];
static unsigned port_count;
static uint64_t mmio_log[16];
static unsigned mmio_count;
static bool mmio_had_lock;

static uint64_t port_read(void *opaque, GuestAddr addr, unsigned size)
{
    return 0xc5;
}

static void port_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    g_assert_true(machine_lock_held());
    if (port_count < ARRAY_SIZE(port_log)) {
        port_log[port_count++] = (uint64_t)size << 32 | value;
    }
    pthread_cond_broadcast(&event_cond);
}

static uint64_t mmio_read(void *opaque, GuestAddr addr, unsigned size)
{
    return addr == 4 ? 0xfeedc0de : 0;
}

static void mmio_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    mmio_had_lock |= machine_lock_held();
    if (mmio_count < ARRAY_SIZE(mmio_log)) {
        mmio_log[mmio_count++] = addr << 32 | value;
    }
}

static const MemoryRegionOps port_ops = { .read = port_read, .write = port_write };
static const MemoryRegionOps mmio_ops = { .read = mmio_read, .write = mmio_write, .lockless = true };

static void write_guest_tables(void)
{
    uint64_t gdt[4] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
    uint32_t irq = guest_address(guest_irq);
    uint16_t gate[8] = { irq & 0xffff, 0x10, 0x8e00, irq >> 16 };
    uint16_t idt_pointer[5] = { (VECTOR + 1) * 16 - 1, IDT };
    AddressSpace *as = &address_space_memory;

    g_assert_true(guest_ram_write(&address_space_memory, CODE, guest_code, guest_code_end - guest_code));
    g_assert_true(guest_ram_write(&address_space_memory, GDT, gdt, sizeof(gdt)));
    g_assert_true(guest_ram_write(&address_space_memory, IDT + VECTOR * 16, gate, sizeof(gate)));
    g_assert_true(guest_ram_write(&address_space_memory, IDT_POINTER, idt_pointer, sizeof(idt_pointer)));
    g_assert_true(guest_ram_store(as, PAGE_TABLES, 8, (PAGE_TABLES + 0x1000) | 3));
    for (uint64_t i = 0; i < 4; i++) {
        g_assert_true(guest_ram_store(as, PAGE_TABLES + 0x1000 + 8 * i, 8, (PAGE_TABLES + 0x2000 + 0x1000 * i) | 3));
    }
    for (uint64_t i = 0; i < 2048; i++) {
        g_assert_true(guest_ram_store(as, PAGE_TABLES + 0x2000 + 8 * i, 8, i << 21 | 0x83));
    }
}

static CpuState *cpus[2];
static EventNotifier events[3];

static void set_up_machine(void)
{
    system_memory_init();
    accel = (AccelState *)object_new_by_name("kvm-accel", &error_abort);
    g_assert_true(accel_ops()->init(accel, NULL, &error_abort));
    g_assert_true(memory_region_init_ram(&ram, NULL, "ram", RAM_SIZE, &error_abort));
    g_assert_true(memory_region_init_rom(&rom, NULL, "rom", 0x1000, &error_abort));
    memcpy(rom.ram->host, "ROM!", 4);
    memory_region_init_io(&port, NULL, &port_ops, NULL, "port", 4);
    memory_region_init_io(&doorbell, NULL, &port_ops, NULL, "doorbell", 1);
    memory_region_init_io(&bar, NULL, &mmio_ops, NULL, "bar", 0x1000);
    for (int i = 0; i < 3; i++) {
        g_assert_true(event_notifier_init(&events[i], false, &error_abort));
    }
    memory_transaction_begin();
    memory_region_add(system_memory(), 0, &ram);
    memory_region_add(system_memory(), 0xe0000000, &rom);
    memory_region_add(system_memory(), MMIO, &bar);
    memory_region_add(system_io(), 0x80, &port);
    memory_region_add(system_io(), 0x90, &doorbell);
    memory_region_add_notifier(&bar, 0x10, 2, true, 7, &events[0]);
    memory_region_add_notifier(&bar, 0x20, 0, false, 0, &events[1]);
    memory_region_add_notifier(&doorbell, 0, 1, false, 0, &events[2]);
    memory_transaction_commit();
    write_guest_tables();
    for (int i = 0; i < 2; i++) {
        const DeviceOps *ops;
        cpus[i] = (CpuState *)object_new_by_name("host-x86_64-cpu", &error_abort);
        ops = object_ops(cpus[i], &device_type);
        g_assert_true(ops->realize((DeviceState *)cpus[i], &error_abort));
        g_assert_cmpint(cpus[i]->index, ==, i);
        g_assert_cmpint(cpu_thread_id(cpus[i]), !=, 0);
    }
}

static void set_entry(int n, const uint8_t *label)
{
    X86_CPU(cpus[n])->regs.mp_state = X86_MP_RUNNABLE;
    x86_cpu_set_boot_state(cpus[n], &(X86BootState){
        .mode = label == guest_main ? X86_BOOT_LONG64 : X86_BOOT_FLAT32,
        .rip = guest_address(label), .rsp = 0xb000 + 0x1000 * n, .cr3 = PAGE_TABLES,
        .gdt_base = GDT, .gdt_limit = 31,
    });
}

/* Both CPUs to power-on; CPU @n enters at @label, the other waits. */
static void reset_to(int n, const uint8_t *label)
{
    cpus_pause_all();
    cpus_reset_all();
    port_count = mmio_count = 0;
    mmio_had_lock = false;
    X86_CPU(cpus[0])->regs.mp_state = X86_MP_WAIT_FOR_INIT;
    set_entry(n, label);
}

static void wait_ports(unsigned n)
{
    while (port_count < n) {
        machine_lock_wait(&event_cond);
    }
}

static uint32_t guest_counter(int n)
{
    uint64_t v;

    g_assert_true(guest_ram_load(&address_space_memory, COUNTERS + 4 * n, 4, &v));
    return v;
}

/* ---- tests ---- */

static void test_exits(void)
{
    static const uint64_t expected[] = {
        0x100000011, 0x1000000c5, 0x200002233, 0x4feedc0de, 0x4ffffffff, 0x20000ffff,
        0x4214d4f52, 0x1000000e0,
    };

    reset_to(0, guest_main);
    cpus_resume_all();
    wait_ports(ARRAY_SIZE(expected));
    for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
        g_assert_cmphex(port_log[i], ==, expected[i]);
    }
    g_assert_cmpuint(mmio_count, ==, 3);
    g_assert_cmphex(mmio_log[0], ==, 0x44556677);
    g_assert_cmphex(mmio_log[1], ==, 0x300000099);
    g_assert_cmphex(mmio_log[2], ==, 0x1000000008);
    g_assert_false(mmio_had_lock);
    for (int i = 0; i < 3; i++) {
        g_assert_true(event_notifier_test_and_clear(&events[i]));
    }
}

/* Goes on where test_exits left the guest: asleep. */
static void test_irqfd(void)
{
    MsiMessage msg = { 0xfee00000, VECTOR };
    EventNotifier n, other;
    int gsi[2];

    g_assert_true(event_notifier_init(&n, false, &error_abort));
    g_assert_true(event_notifier_init(&other, false, &error_abort));
    accel_irq_begin();
    for (int i = 0; i < 2; i++) {
        gsi[i] = accel_msi_route_add(msg, 0, &error_abort);
        g_assert_true(accel_irqfd_attach(gsi[i], i ? &other : &n, NULL, &error_abort));
    }
    accel_irq_commit();
    g_assert_cmpint(gsi[1], ==, gsi[0] + 1);

    for (int i = 0; i < 20; i++) {
        port_count = 0;
        if (i % 3 == 2) {
            accel_send_msi(msg, 0);
        } else {
            event_notifier_set(i & 1 ? &n : &other);
        }
        wait_ports(2);
        g_assert_cmphex(port_log[0], ==, 0x100000055);
        g_assert_cmphex(port_log[1], ==, 0x1000000aa);
    }
    /* To an APIC that there is not (0xff would be all of them): the route changes, and nothing comes. */
    accel_msi_route_update(gsi[0], (MsiMessage){ 0xfeefe000, VECTOR }, 0);
    port_count = 0;
    event_notifier_set(&n);
    accel_send_msi(msg, 0);
    wait_ports(2);
    g_assert_cmpuint(port_count, ==, 2);

    accel_irqfd_detach(gsi[0], &n);
    accel_irqfd_detach(gsi[1], &other);
    accel_msi_route_del(gsi[0]);
    accel_msi_route_del(gsi[1]);
    gsi[0] = accel_msi_route_add(msg, 0, &error_abort);
    g_assert_cmpint(gsi[0], <=, gsi[1]);
    accel_msi_route_del(gsi[0]);
    event_notifier_cleanup(&n);
    event_notifier_cleanup(&other);
}

static void work(CpuState *cpu, void *opaque)
{
    g_assert_true(current_cpu == cpu);
    g_assert_true(machine_lock_held());
    ++*(unsigned *)opaque;
}

/* Let guest_count run, really, and stop it. */
static void count_on(void)
{
    uint32_t last = guest_counter(0);

    cpus_resume_all();
    while (guest_counter(0) == last) {
        machine_unlock();
        g_usleep(100);
        machine_lock();
    }
    cpus_pause_all();
}

static void test_pause(void)
{
    unsigned done = 0;

    reset_to(0, guest_count);
    set_entry(1, guest_second);
    cpus_resume_all();
    wait_ports(1);
    for (int i = 0; i < 60; i++) {
        uint32_t count[2];

        if (i % 2) {
            machine_unlock();
            g_usleep(200 * (i % 5));
            machine_lock();
        }
        cpus_pause_all();
        count[0] = guest_counter(0);
        count[1] = guest_counter(1);
        machine_unlock();
        g_usleep(300);
        machine_lock();
        g_assert_cmpuint(guest_counter(0), ==, count[0]);
        g_assert_cmpuint(guest_counter(1), ==, count[1]);
        cpu_state_load(cpus[0]);
        uint64_t rip = X86_CPU(cpus[0])->regs.rip;
        g_assert_cmpuint(rip, >=, guest_address(guest_count));
        g_assert_cmpuint(rip, <, guest_address(guest_dirty));
        cpus_resume_all();
        if (i % 3 == 0) {
            cpu_run_on(cpus[i & 1], work, &done);
            cpu_run_on_async(cpus[1], work, &done);
            cpu_run_on(cpus[1], work, &done);
        }
    }
    g_assert_cmpuint(done, ==, 60);
    count_on();
}

/* What is read back is what was written, at every level. */
static void test_registers(void)
{
    X86Registers *r = &X86_CPU(cpus[0])->regs;
    g_autoptr(GString) text = g_string_new(NULL);

    reset_to(0, guest_count);
    count_on();
    cpu_state_load(cpus[0]);
    g_assert_cmphex(r->segment[X86_CS].selector, ==, 8);
    g_assert_cmphex(r->segment[X86_CS].limit, ==, 0xffffffff);
    g_assert_cmphex(r->apic_base, ==, 0xfee00900);
    g_assert_cmpuint(r->msr_count, >, 0);
    for (int i = X86_R8; i < X86_GPR_COUNT; i++) {
        r->gpr[i] = 0x1111 * i;
    }
    r->gpr[X86_RSI] = 0x51;
    cpu_state_changed(cpus[0], CPU_STATE_FULL);
    count_on();
    memset(r->gpr, 0, sizeof(r->gpr));
    cpu_state_load(cpus[0]);
    g_assert_cmphex(r->gpr[X86_RSI], ==, 0x51);
    g_assert_cmphex(r->gpr[X86_R15], ==, 0x1111 * 15);
    x86_cpu_print_state(cpus[0], text);
    g_assert_nonnull(strstr(text->str, "RSI=0000000000000051"));
}

static void test_dirty_log(void)
{
    RamBlock *rb = ram.ram;

    reset_to(0, guest_dirty);
    memory_dirty_log_start(DIRTY_MIGRATION);
    cpus_resume_all();
    wait_ports(1);
    memory_dirty_log_sync();
    g_assert_true(ram_block_test_and_clear_dirty(rb, DIRTY_MIGRATION, 0x100000, 1));
    g_assert_true(ram_block_test_and_clear_dirty(rb, DIRTY_MIGRATION, 0x141000, 1));
    g_assert_true(ram_block_test_and_clear_dirty(rb, DIRTY_MIGRATION, 0x3ff000, 1));
    g_assert_false(ram_block_test_and_clear_dirty(rb, DIRTY_MIGRATION, 0x200000, 0x100000));
    memory_dirty_log_sync();
    g_assert_false(ram_block_test_and_clear_dirty(rb, DIRTY_MIGRATION, 0x100000, 0x1000));
    cpus_pause_all();
    memory_dirty_log_stop(DIRTY_MIGRATION);
}

static void test_crash(void)
{
    unsigned resets = reset_requests, stops = stop_requests;

    reset_to(0, guest_crash);
    cpus_resume_all();
    while (reset_requests == resets && stop_requests == stops) {
        machine_lock_wait(&event_cond);
    }
    /* The CPU parked itself. */
    cpus_pause_all();
    g_assert_cmpuint(guest_counter(2), ==, 1);

    reset_to(0, guest_garbage);
    resets = reset_requests;
    stops = stop_requests;
    cpus_resume_all();
    while (reset_requests == resets && stop_requests == stops) {
        machine_lock_wait(&event_cond);
    }
    cpus_pause_all();
    /* And can be brought back. */
    reset_to(0, guest_dirty);
    cpus_resume_all();
    wait_ports(1);
    cpus_pause_all();
}

static void test_clock(void)
{
    run_state_handler(NULL, false, RUN_STATE_PAUSED);
    run_state_handler(NULL, true, RUN_STATE_RUNNING);
}

static void test_end(void)
{
    for (int i = 1; i >= 0; i--) {
        const DeviceOps *ops = object_ops(cpus[i], &device_type);
        ops->unrealize((DeviceState *)cpus[i]);
        object_unref(cpus[i]);
    }
    g_assert_cmpint(cpu_count(), ==, 0);
}

static void test_no_irqchip(void)
{
    Error *err = NULL;
    Object *other = object_new_by_name("kvm-accel", &error_abort);
    const AccelOps *ops = object_ops(other, &accel_type);

    g_assert_true(object_property_set_string(other, "kernel-irqchip", "split", &error_abort));
    g_assert_false(ops->init((AccelState *)other, NULL, &err));
    g_assert_nonnull(strstr(error_message(err), "kernel-irqchip=split"));
    error_free(err);
    object_unref(other);
}

static void test_parse_model(void)
{
    g_autofree char *type = NULL;
    g_autoptr(JsonValue) options = NULL;
    Error *err = NULL;

    g_assert_true(cpu_parse_model("host,+avx2,pmu=off,-aes,avx2=off,check", "x86_64-cpu", &type, &options,
                                  &error_abort));
    g_assert_cmpstr(type, ==, "host-x86_64-cpu");
    g_assert_cmpstr(json_object_get_string(options, "avx2"), ==, "on");
    g_assert_cmpstr(json_object_get_string(options, "aes"), ==, "off");
    g_assert_cmpstr(json_object_get_string(options, "pmu"), ==, "off");
    g_assert_cmpstr(json_object_get_string(options, "check"), ==, "on");
    g_clear_pointer(&type, g_free);
    g_clear_pointer(&options, json_unref);
    g_assert_true(cpu_parse_model("max", "x86_64-cpu", &type, &options, &error_abort));
    g_assert_null(options);
    g_clear_pointer(&type, g_free);
    g_assert_false(cpu_parse_model(",x=1", "x86_64-cpu", &type, &options, &err));
    error_free(err);
}

static bool skip(const char *why)
{
    const char *require = g_getenv("NEMU_TESTS_REQUIRE");

    if (require && !strcmp(require, "all")) {
        fprintf(stderr, "test-kvm: %s\n", why);
        exit(1);
    }
    printf("1..0 # SKIP %s\n", why);
    return true;
}

int main(int argc, char **argv)
{
    if (access("/dev/kvm", R_OK | W_OK) != 0) {
        return skip("/dev/kvm cannot be used") ? 77 : 1;
    }
    g_test_init(&argc, &argv, NULL);
    machine_lock();
    g_test_add_func("/kvm/parse-model", test_parse_model);
    g_test_add_func("/kvm/no-irqchip", test_no_irqchip);
    set_up_machine();
    g_test_add_func("/kvm/exits", test_exits);
    g_test_add_func("/kvm/irqfd", test_irqfd);
    g_test_add_func("/kvm/pause", test_pause);
    g_test_add_func("/kvm/registers", test_registers);
    g_test_add_func("/kvm/dirty-log", test_dirty_log);
    g_test_add_func("/kvm/crash", test_crash);
    g_test_add_func("/kvm/clock", test_clock);
    g_test_add_func("/kvm/end", test_end);
    return g_test_run();
}
