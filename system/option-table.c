/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The option table. -help, query-command-line-options and
 * docs/system/invocation.md are made from it.
 */
#include "util/osdep.h"
#include "system/options-params.h"
#include "system/startup.h"

/* ---- parameters ---- */

static const OptionParam machine_params[] = {
    PARAM_SHOWN("type", STRING, "machine type; -machine help lists them"),
    PARAM_SHOWN("accel", STRING, "accelerators to try in order, colon separated"),
    PARAM_SHOWN("kernel_irqchip", STRING, "where interrupt controllers are: on, off, split"),
    PARAM_SHOWN("memory-backend", STRING, "ID of the memory-backend object to use as main memory"),
    PARAM_SHOWN("kernel", STRING, "Linux kernel image file"),
    PARAM_SHOWN("initrd", STRING, "Linux initial ramdisk file"),
    PARAM_SHOWN("append", STRING, "Linux kernel command line"),
    PARAM_SHOWN("dtb", STRING, "Linux kernel device tree file"),
    PARAM_SHOWN("firmware", STRING, "firmware image"),
    PARAM_SHOWN("usb", BOOLEAN, "USB controller (there is none)"),
    PARAM_SHOWN("graphics", BOOLEAN, "graphics emulation (there is none)"),
    PARAM_SHOWN("dump-guest-core", BOOLEAN, "include guest memory in a core dump"),
    PARAM_SHOWN("mem-merge", BOOLEAN, "let the host merge equal memory pages"),
    PARAM_SHOWN("suppress-vmdesc", BOOLEAN, "no self-description in migration streams"),
    PARAM_END
};

static const OptionParam accel_params[] = {
    PARAM_SHOWN("accel", STRING, "the accelerator"),
    PARAM_SHOWN("kernel-irqchip", STRING, "where interrupt controllers are: on, off, split"),
    PARAM_END
};

const OptionParam smp_params[] = {
    PARAM_HAS(CpuTopologyOptions, cpus, "cpus", NUMBER, "CPUs present at the start"),
    PARAM_HAS(CpuTopologyOptions, maxcpus, "maxcpus", NUMBER, "most CPUs, with hot-plug"),
    PARAM_HAS(CpuTopologyOptions, sockets, "sockets", NUMBER, "sockets of the machine"),
    PARAM_HAS(CpuTopologyOptions, dies, "dies", NUMBER, "dies of a socket"),
    PARAM_HAS(CpuTopologyOptions, clusters, "clusters", NUMBER, "clusters of a die"),
    PARAM_HAS(CpuTopologyOptions, cores, "cores", NUMBER, "cores of a cluster or die"),
    PARAM_HAS(CpuTopologyOptions, threads, "threads", NUMBER, "threads of a core"),
    PARAM_END
};

const OptionParam memory_params[] = {
    { "size", COMMAND_LINE_PARAMETER_TYPE_STRING, "main memory, in MiB without suffix",
      offsetof(MemoryParams, size) },
    PARAM_HAS(MemoryParams, slots, "slots", NUMBER, "places for memory to be plugged in"),
    PARAM_HAS(MemoryParams, maxmem, "maxmem", SIZE, "most memory, with what is plugged in"),
    PARAM_END
};

const OptionParam name_params[] = {
    PARAM(NameParams, guest, "guest", STRING, "name of the guest"),
    PARAM(NameParams, process, "process", STRING, "name of the process"),
    PARAM(NameParams, debug_threads, "debug-threads", BOOLEAN, "threads have names"),
    PARAM_END
};

const OptionParam fw_cfg_params[] = {
    PARAM(FwCfgParams, name, "name", STRING, "name of the item, opt/..."),
    PARAM(FwCfgParams, string, "string", STRING, "its content"),
    PARAM(FwCfgParams, file, "file", STRING, "file with its content"),
    PARAM_END
};

const OptionParam global_params[] = {
    PARAM(GlobalParams, driver, "driver", STRING, "device type"),
    PARAM(GlobalParams, property, "property", STRING, "its property"),
    PARAM(GlobalParams, value, "value", STRING, "new default"),
    PARAM_END
};

const OptionParam action_params[] = {
    PARAM(ActionParams, reboot, "reboot", STRING, "when the guest resets: reset, shutdown"),
    PARAM(ActionParams, shutdown, "shutdown", STRING, "when it shuts down: poweroff, pause"),
    PARAM(ActionParams, panic, "panic", STRING,
          "when it panics: pause, shutdown, exit-failure, none"),
    PARAM(ActionParams, watchdog, "watchdog", STRING, "when a watchdog expires"),
    PARAM_END
};

const OptionParam rtc_params[] = {
    PARAM(RtcParams, base, "base", STRING, "utc, localtime or a date"),
    PARAM(RtcParams, clock, "clock", STRING, "clock that drives it"),
    PARAM(RtcParams, driftfix, "driftfix", STRING, "what to do about lost ticks"),
    PARAM_END
};

const OptionParam boot_params[] = {
    PARAM(BootParams, order, "order", STRING, "drive letters; bootindex= of devices decides"),
    PARAM(BootParams, once, "once", STRING, "the same for the first boot"),
    PARAM(BootParams, menu, "menu", BOOLEAN, "boot menu"),
    PARAM(BootParams, splash, "splash", STRING, "picture of the boot menu"),
    PARAM(BootParams, splash_time, "splash-time", NUMBER, "how long it shows"),
    PARAM(BootParams, reboot_timeout, "reboot-timeout", NUMBER, "when nothing boots"),
    PARAM(BootParams, strict, "strict", BOOLEAN, "only devices with bootindex= boot"),
    PARAM_END
};

const OptionParam overcommit_params[] = {
    PARAM(OvercommitParams, mem_lock, "mem-lock", BOOLEAN, "lock all memory"),
    PARAM(OvercommitParams, cpu_pm, "cpu-pm", BOOLEAN, "guest's idle CPUs stay in the guest"),
    PARAM_END
};

const OptionParam msg_params[] = {
    PARAM(MsgParams, timestamp, "timestamp", BOOLEAN, "begin messages with the time"),
    PARAM(MsgParams, guest_name, "guest-name", BOOLEAN, "begin messages with the guest's name"),
    PARAM_END
};

const OptionParam trace_params[] = {
    PARAM(TraceParams, enable, "enable", STRING, "pattern of events"),
    PARAM(TraceParams, events, "events", STRING, "file with one pattern a line"),
    PARAM(TraceParams, file, "file", STRING, "where the log goes"),
    PARAM(TraceParams, backend, "backend", STRING, "log or ftrace"),
    PARAM_END
};

const OptionParam add_fd_params[] = {
    PARAM_HAS(AddFdParams, fd, "fd", NUMBER, "inherited descriptor"),
    PARAM_HAS(AddFdParams, set, "set", NUMBER, "number of the set"),
    PARAM(AddFdParams, opaque, "opaque", STRING, "a note for query-fdsets"),
    PARAM_END
};

const OptionParam mon_params[] = {
    PARAM(MonParams, chardev, "chardev", STRING, "character device"),
    PARAM(MonParams, id, "id", STRING, "a name, for the command line only"),
    PARAM(MonParams, mode, "mode", STRING, "control (QMP) or readline"),
    PARAM(MonParams, pretty, "pretty", BOOLEAN, "one member a line"),
    PARAM_END
};

/* ---- options ---- */

#define SECTION(title) { .name = "", .help = (title) }
#define OPT(n, a, ph, fn, h, ...) \
    { .name = (n), .arg = (a), .phase = PHASE_##ph, .apply = option_##fn, .help = (h), __VA_ARGS__ }

const Option option_table[] = {
    SECTION("Standard options"),
    OPT("h", NULL, CONFIG, help, "this help"),
    OPT("help", NULL, CONFIG, help, "this help"),
    OPT("version", NULL, CONFIG, version, "the version"),
    OPT("machine", "[type=]NAME[,PROP=VALUE...]", CONFIG, machine, "the machine; 'help' lists",
        .group = "machine", .params = machine_params),
    OPT("M", "[type=]NAME[,PROP=VALUE...]", CONFIG, machine, "the same as -machine"),
    OPT("accel", "[accel=]NAME[,PROP=VALUE...]", CONFIG, accel,
        "what runs the CPUs; several are tried in order",
        .group = "accel", .params = accel_params),
    OPT("enable-kvm", NULL, CONFIG, enable_kvm, "the same as -accel kvm"),
    OPT("cpu", "MODEL[,FEATURE=on|off...]", CONFIG, cpu, "the CPU model; 'help' lists"),
    OPT("smp", "[cpus=]N[,maxcpus=N][,sockets=N][,dies=N][,cores=N][,threads=N]", CONFIG, smp,
        "the number of CPUs and their topology", .group = "smp-opts", .params = smp_params),
    OPT("m", "[size=]SIZE[,slots=N,maxmem=SIZE]", CONFIG, memory, "main memory, in MiB",
        .group = "memory", .params = memory_params),
    OPT("name", "[guest=]NAME[,process=NAME][,debug-threads=on|off]", CONFIG, name,
        "names of the guest, the process, and threads", .group = "name", .params = name_params),
    OPT("uuid", "UUID", CONFIG, uuid, "the machine's UUID"),
    OPT("global", "DRIVER.PROP=VALUE", CONFIG, global, "new default of a device property",
        .group = "global", .params = global_params),
    OPT("set", "GROUP.ID.PARAM=VALUE", CONFIG, set,
        "set a parameter of an earlier or later -device"),
    OPT("boot", "[order=]DRIVES[,menu=on|off][,strict=on|off]...", CONFIG, boot,
        "accepted; bootindex= of devices decides", .group = "boot-opts", .params = boot_params),
    OPT("rtc", "[base=utc|localtime|DATE][,clock=host|rt|vm][,driftfix=none|slew]", CONFIG, rtc,
        "accepted; the machines have no battery clock", .group = "rtc", .params = rtc_params),

    SECTION("Devices and their back ends"),
    OPT("object", "TYPE,id=ID[,PROP=VALUE...]", OBJECTS, object,
        "make an object; 'help' lists types", .group = "object", .has_help = true),
    OPT("netdev", "TYPE,id=ID[,PROP=VALUE...]", NET, netdev,
        "make a network back end: user, tap, socket; 'help' lists", .group = "netdev",
        .has_help = true),
    OPT("nic", "TYPE[,model=MODEL][,mac=ADDR][,PROP=VALUE...]", NET, nic,
        "a network card with its back end, or 'none'", .group = "nic", .has_help = true),
    OPT("net", "none", CONFIG, none_only, "accepted with 'none'"),
    OPT("chardev", "BACKEND,id=ID[,PROP=VALUE...]", CHARDEVS, chardev,
        "make a character device: socket, pty, file, stdio, null...; 'help' lists",
        .group = "chardev", .has_help = true),
    OPT("serial", "DEV", CHARDEVS, serial,
        "host end of a serial port: none, null, stdio, pty, file:PATH, unix:PATH, chardev:ID"),
    OPT("mon", "[chardev=]ID[,mode=control|readline][,pretty=on|off]", MONITORS, mon,
        "a monitor on a character device", .group = "mon", .params = mon_params),
    OPT("qmp", "DEV", MONITORS, qmp, "a QMP monitor on a character device made for it"),
    OPT("qmp-pretty", "DEV", MONITORS, qmp_pretty, "the same with one member a line"),
    OPT("monitor", "DEV", MONITORS, monitor, "a human monitor, or 'none'"),
    OPT("blockdev", "DRIVER,node-name=NAME[,PROP=VALUE...]", BLOCK, blockdev,
        "make a block node", .group = "blockdev"),
    OPT("drive", "file=FILE[,if=none|virtio][,format=FORMAT][,id=ID][,cache=MODE]...", BLOCK, drive,
        "make a disk, with if=virtio its device too", .group = "drive"),
    OPT("device", "DRIVER[,id=ID][,bus=BUS][,PROP=VALUE...]", DEVICES, device,
        "add a device; 'help' lists types, 'DRIVER,help' properties",
        .group = "device", .has_help = true),
    OPT("parallel", "none", CONFIG, none_only, "accepted; there is no parallel port"),

    SECTION("Booting without firmware"),
    OPT("kernel", "FILE", CONFIG, kernel, "kernel image: bzImage, vmlinux (PVH), Multiboot ELF"),
    OPT("append", "TEXT", CONFIG, append, "its command line"),
    OPT("initrd", "FILE", CONFIG, initrd, "its initial ramdisk"),
    OPT("dtb", "FILE", CONFIG, dtb, "its device tree"),
    OPT("bios", "FILE", CONFIG, bios, "firmware image"),
    OPT("fw_cfg", "[name=]NAME,string=TEXT|file=FILE", CONFIG, fw_cfg,
        "a fw_cfg item for the guest", .group = "fw_cfg", .params = fw_cfg_params),

    SECTION("Run state"),
    OPT("S", NULL, CONFIG, stopped, "wait for 'cont' before running the guest"),
    OPT("no-reboot", NULL, CONFIG, no_reboot, "a reset ends the program"),
    OPT("no-shutdown", NULL, CONFIG, no_shutdown, "a shutdown stops the machine only"),
    OPT("action", "[reboot=ACTION][,shutdown=ACTION][,panic=ACTION][,watchdog=ACTION]", CONFIG,
        action, "what happens on these occasions", .group = "action", .params = action_params),
    OPT("watchdog-action", "ACTION", CONFIG, watchdog_action, "the same as -action watchdog="),
    OPT("incoming", "ADDRESS", CONFIG, incoming, "wait for a migration (not supported)"),
    OPT("no-acpi", NULL, CONFIG, no_acpi, "no ACPI tables"),
    OPT("no-hpet", NULL, CONFIG, ignored, "accepted; there is no HPET"),

    SECTION("Process"),
    OPT("nodefaults", NULL, CONFIG, no_defaults, "no device that was not asked for"),
    OPT("no-user-config", NULL, CONFIG, ignored, "accepted; there are no configuration files"),
    OPT("nographic", NULL, CONFIG, nographic, "no window; the serial port is the terminal"),
    OPT("display", "none", CONFIG, display, "accepted; there is no display"),
    OPT("vga", "none", CONFIG, none_only, "accepted; there is no graphics card"),
    OPT("audiodev", "[driver=]none,id=ID", CONFIG, audiodev, "accepted; there is no sound card"),
    OPT("daemonize", NULL, CONFIG, daemonize, "go to the background once monitors can be used"),
    OPT("pidfile", "FILE", CONFIG, pidfile, "write and lock a file with the process id"),
    OPT("add-fd", "fd=FD,set=SET[,opaque=TEXT]", PROCESS, add_fd,
        "put an inherited descriptor into a set (/dev/fdset/SET)",
        .group = "add-fd", .params = add_fd_params),
    OPT("overcommit", "[mem-lock=on|off][,cpu-pm=on|off]", CONFIG, overcommit,
        "host resources kept for the guest", .group = "overcommit", .params = overcommit_params),
    OPT("sandbox", "off", CONFIG, sandbox, "accepted with 'off'; there is no system call filter"),
    OPT("L", "DIR", CONFIG, datadir, "a folder to look for firmware in; 'help' lists"),

    SECTION("Messages"),
    OPT("msg", "[timestamp=on|off][,guest-name=on|off]", CONFIG, msg, "form of messages",
        .group = "msg", .params = msg_params),
    OPT("D", "FILE", PROCESS, log_file, "write the log to a file"),
    OPT("d", "ITEM[,ITEM...]", PROCESS, log_items, "what to log; 'help' lists", .has_help = true),
    OPT("trace", "[enable=]PATTERN[,events=FILE][,file=FILE][,backend=log|ftrace]", PROCESS, trace,
        "switch trace events on; 'help' lists", .group = "trace", .params = trace_params, .has_help = true),

    SECTION("Tests"),
    OPT("qtest", "CHARDEV", CONFIG, qtest, "serve the qtest protocol"),
    OPT("qtest-log", "FILE", CONFIG, qtest_log, "log of the qtest protocol"),
    { .name = NULL }
};
