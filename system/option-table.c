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
    PARAM_SHOWN("kernel_irqchip", BOOLEAN, "where interrupt controllers are: on, off, split"),
    PARAM_SHOWN("kernel", STRING, "Linux kernel image file"),
    PARAM_SHOWN("initrd", STRING, "Linux initial ramdisk file"),
    PARAM_SHOWN("append", STRING, "Linux kernel command line"),
    PARAM_SHOWN("dtb", STRING, "Linux kernel device tree file"),
    PARAM_SHOWN("firmware", STRING, "firmware image"),
    PARAM_SHOWN("usb", BOOLEAN, "USB controller (there is none)"),
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
    PARAM_OF(CpuTopologyOptions, cpus, "smp", "cpus", NUMBER, "CPUs present at the start"),
    PARAM_OF(CpuTopologyOptions, maxcpus, "smp", "maxcpus", NUMBER, "most CPUs, with hot-plug"),
    PARAM_OF(CpuTopologyOptions, sockets, "smp", "sockets", NUMBER, "sockets of the machine"),
    PARAM_OF(CpuTopologyOptions, dies, "smp", "dies", NUMBER, "dies of a socket"),
    PARAM_OF(CpuTopologyOptions, clusters, "smp", "clusters", NUMBER, "clusters of a die"),
    PARAM_OF(CpuTopologyOptions, cores, "smp", "cores", NUMBER, "cores of a cluster or die"),
    PARAM_OF(CpuTopologyOptions, threads, "smp", "threads", NUMBER, "threads of a core"),
    PARAM_END
};

const OptionParam memory_params[] = {
    PARAM_HAS(MemoryParams, size, "size", SIZE_MIB, "main memory, in MiB without suffix"),
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
    PARAM_OF(BootParams, splash_time, "boot", "splash-time", NUMBER, "how long it shows, in ms"),
    PARAM_OF(BootParams, reboot_timeout, "boot", "reboot-timeout", NUMBER,
             "when nothing boots, in ms"),
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
    { .name = "id", .type = COMMAND_LINE_PARAMETER_TYPE_STRING, .unlisted = true,
      .help = "a name, for the command line only", .field = offsetof(MonParams, id) },
    PARAM(MonParams, mode, "mode", STRING, "control (QMP) or readline"),
    PARAM(MonParams, pretty, "pretty", BOOLEAN, "one member a line"),
    PARAM_END
};

/* For the list of options only: chardev/chardev-options.c reads them. */
static const OptionParam chardev_params[] = {
    PARAM_SHOWN("backend", STRING, "kind of character device"),
    PARAM_SHOWN("path", STRING, "file, pipe, device or unix socket"),
    PARAM_SHOWN("host", STRING, "host name or address"),
    PARAM_SHOWN("port", STRING, "port or service"),
    PARAM_SHOWN("fd", STRING, "descriptor of an open socket"),
    PARAM_SHOWN("localaddr", STRING, "udp: address to receive at"),
    PARAM_SHOWN("localport", STRING, "udp: port to receive at"),
    PARAM_SHOWN("to", NUMBER, "listening: the last port to try"),
    PARAM_SHOWN("ipv4", BOOLEAN, "use IPv4"),
    PARAM_SHOWN("ipv6", BOOLEAN, "use IPv6"),
    PARAM_SHOWN("wait", BOOLEAN, "server: wait for the first client"),
    PARAM_SHOWN("server", BOOLEAN, "listen"),
    PARAM_SHOWN("delay", BOOLEAN, "TCP may collect small pieces"),
    PARAM_SHOWN("nodelay", BOOLEAN, "TCP sends small pieces at once"),
    PARAM_SHOWN("reconnect", NUMBER, "client: try again after so many seconds"),
    PARAM_SHOWN("telnet", BOOLEAN, "telnet protocol"),
    PARAM_SHOWN("tn3270", BOOLEAN, "TN3270 protocol (there is none)"),
    PARAM_SHOWN("tls-creds", STRING, "ID of TLS credentials"),
    PARAM_SHOWN("tls-authz", STRING, "ID of an authorization object"),
    PARAM_SHOWN("websocket", BOOLEAN, "websocket protocol"),
    PARAM_SHOWN("mux", BOOLEAN, "several users on one device"),
    PARAM_SHOWN("signal", BOOLEAN, "stdio: keys send signals"),
    PARAM_SHOWN("size", SIZE, "ringbuf: size of the buffer"),
    PARAM_SHOWN("append", BOOLEAN, "file: add to it"),
    PARAM_SHOWN("logfile", STRING, "file that gets a copy of the output"),
    PARAM_SHOWN("logappend", BOOLEAN, "add to the log file"),
    PARAM_SHOWN("abstract", BOOLEAN, "unix socket without a file"),
    PARAM_SHOWN("tight", BOOLEAN, "abstract name without padding"),
    PARAM_END
};

/* For the list of options only: block/blockdev.c reads them. */
static const OptionParam drive_params[] = {
    PARAM_SHOWN("file", STRING, "image"),
    PARAM_SHOWN("if", STRING, "how the guest sees it: virtio, none"),
    PARAM_SHOWN("media", STRING, "disk"),
    PARAM_SHOWN("index", NUMBER, "number among those of the same kind"),
    PARAM_SHOWN("format", STRING, "image format"),
    PARAM_SHOWN("driver", STRING, "block driver"),
    PARAM_SHOWN("node-name", STRING, "name of the node"),
    PARAM_SHOWN("read-only", BOOLEAN, "never write"),
    PARAM_SHOWN("auto-read-only", BOOLEAN, "read-only where writing is not possible"),
    PARAM_SHOWN("force-share", BOOLEAN, "others may write, too"),
    PARAM_SHOWN("cache.direct", BOOLEAN, "bypass the page cache"),
    PARAM_SHOWN("cache.no-flush", BOOLEAN, "ignore flush requests"),
    PARAM_SHOWN("cache.writeback", BOOLEAN, "the guest sees a write cache"),
    PARAM_SHOWN("aio", STRING, "threads, native, io_uring"),
    PARAM_SHOWN("discard", STRING, "ignore, unmap"),
    PARAM_SHOWN("detect-zeroes", STRING, "off, on, unmap"),
    PARAM_SHOWN("werror", STRING, "on write errors: report, ignore, stop, enospc"),
    PARAM_SHOWN("rerror", STRING, "on read errors: report, ignore, stop"),
    PARAM_END
};

/* ---- options ---- */

/* Who finds the group uses the option. */
#ifdef CONFIG_SECCOMP
#define SANDBOX_GROUP .group = "sandbox",
#else
#define SANDBOX_GROUP
#endif

#define SECTION(title) { .name = "", .help = (title) }
#define OPT(n, a, ph, fn, h, ...) \
    { .name = (n), .arg = (a), .phase = PHASE_##ph, .apply = option_##fn, .help = (h), __VA_ARGS__ }

const Option option_table[] = {
    SECTION("Standard options"),
    OPT("h", NULL, CONFIG, help, "this help"),
    OPT("help", NULL, CONFIG, help, "this help"),
    OPT("version", NULL, CONFIG, version, "the version"),
    OPT("machine", "[type=]NAME[,PROP=VALUE...]", CONFIG, machine, "the machine; 'help' lists",
        .group = "machine", .params = machine_params, .has_help = true),
    OPT("M", "[type=]NAME[,PROP=VALUE...]", CONFIG, machine, "the same as -machine"),
    OPT("accel", "[accel=]NAME[,PROP=VALUE...]", CONFIG, accel,
        "what runs the CPUs; several are tried in order",
        .group = "accel", .params = accel_params, .has_help = true),
    OPT("enable-kvm", NULL, CONFIG, enable_kvm, "the same as -accel kvm"),
    OPT("cpu", "MODEL[,FEATURE=on|off...]", CONFIG, cpu, "the CPU model; 'help' lists"),
    OPT("smp", "[cpus=]N[,maxcpus=N][,sockets=N][,dies=N][,cores=N][,threads=N]", CONFIG, smp,
        "the number of CPUs and their topology", .group = "smp-opts", .params = smp_params),
    OPT("m", "[size=]SIZE[,slots=N,maxmem=SIZE]", CONFIG, memory, "main memory, in MiB",
        .group = "memory", .params = memory_params, .has_help = true),
    OPT("numa", "node[,memdev=ID][,cpus=FIRST[-LAST]][,nodeid=N][,initiator=N]", NUMA, numa,
        "a NUMA node of the guest; also dist,src=N,dst=N,val=DISTANCE, cpu,node-id=N,..., hmat-lb,... and "
        "hmat-cache,...", .group = "numa"),
    OPT("mem-path", "PATH", CONFIG, mem_path, "main memory is in this file, or a new one in this folder"),
    OPT("mem-prealloc", NULL, CONFIG, mem_prealloc, "touch all main memory at the start"),
    OPT("name", "[guest=]NAME[,process=NAME][,debug-threads=on|off]", CONFIG, name,
        "names of the guest, the process, and threads", .group = "name", .params = name_params),
    OPT("uuid", "UUID", CONFIG, uuid, "the machine's UUID"),
    OPT("global", "DRIVER.PROP=VALUE", CONFIG, global, "new default of a device property",
        .group = "global", .params = global_params),
    OPT("set", "GROUP.ID.PARAM=VALUE", CONFIG, set,
        "set a parameter of an earlier or later -device"),
    OPT("boot", "[order=]DRIVES[,menu=on|off][,strict=on|off]...", CONFIG, boot,
        "boot menu of firmware; the order is that of bootindex= of devices", .group = "boot-opts", .params = boot_params),
    { .name = "smbios", .arg = "file=FILE|type=N[,FIELD=VALUE...]", .phase = PHASE_CONFIG, .apply = option_smbios,
      .help = "what dmidecode shows: types 0 to 4, 11 and 17", .group = "smbios" },
    OPT("rtc", "[base=utc|localtime|DATE][,clock=host|rt|vm][,driftfix=none|slew]", CONFIG, rtc,
        "what the battery clock shows", .group = "rtc", .params = rtc_params),

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
        .group = "chardev", .params = chardev_params, .has_help = true),
    OPT("serial", "DEV", CHARDEVS, serial,
        "host end of a serial port: none, null, stdio, pty, file:PATH, unix:PATH, chardev:ID"),
    OPT("mon", "[chardev=]ID[,mode=control|readline][,pretty=on|off]", MONITORS, mon,
        "a monitor on a character device", .group = "mon", .params = mon_params),
    OPT("qmp", "DEV", MONITORS, qmp, "a QMP monitor on a character device made for it"),
    OPT("qmp-pretty", "DEV", MONITORS, qmp_pretty, "the same with one member a line"),
    OPT("echr", "NUMBER", CONFIG, echr, "the key that switches between users of a shared terminal (1: Ctrl-A)"),
    OPT("monitor", "DEV", MONITORS, monitor, "a human monitor, or 'none'"),
    OPT("blockdev", "DRIVER,node-name=NAME[,PROP=VALUE...]", BLOCK, blockdev,
        "make a block node"),
    OPT("drive", "file=FILE[,if=none|virtio|pflash][,format=FORMAT][,id=ID][,cache=MODE]...", BLOCK, drive,
        "make a disk, with if=virtio its device too", .group = "drive", .params = drive_params,
        .has_help = true),
    OPT("pflash", "FILE", BLOCK, pflash, "image of the next flash: -drive if=pflash"),
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
    OPT("preconfig", NULL, CONFIG, preconfig,
        "wait for QMP before the machine is made, until x-exit-preconfig"),
    OPT("only-migratable", NULL, CONFIG, only_migratable, "refuse what would prevent migration"),
    OPT("compat", "[deprecated-input=accept|reject|crash][,deprecated-output=accept|hide]"
        "[,unstable-input=accept|reject|crash][,unstable-output=accept|hide]", CONFIG, compat,
        "what happens with QMP interfaces that will go or may change"),
    OPT("no-reboot", NULL, CONFIG, no_reboot, "a reset ends the program"),
    OPT("no-shutdown", NULL, CONFIG, no_shutdown, "a shutdown stops the machine only"),
    OPT("action", "[reboot=ACTION][,shutdown=ACTION][,panic=ACTION][,watchdog=ACTION]", CONFIG,
        action, "what happens on these occasions", .group = "action", .params = action_params),
    OPT("watchdog-action", "ACTION", CONFIG, watchdog_action, "the same as -action watchdog="),
    OPT("incoming", "ADDRESS", CONFIG, incoming, "wait for a machine from there; defer: from where migrate-incoming says"),
    OPT("loadvm", "TAG", CONFIG, loadvm, "go on from this snapshot of the machine (savevm)"),
    OPT("no-acpi", NULL, CONFIG, no_acpi, "no ACPI tables"),
    OPT("no-hpet", NULL, CONFIG, ignored, "accepted; there is no HPET"),

    SECTION("Process"),
    OPT("nodefaults", NULL, CONFIG, no_defaults, "no device that was not asked for"),
    OPT("usb", NULL, CONFIG, ignored, "accepted; there is no USB controller"),
    OPT("k", "LAYOUT", CONFIG, ignored, "accepted; there is no keyboard"),
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
    OPT("runas", "USER|UID:GID", CONFIG, runas, "become this user before the guest runs"),
    OPT("chroot", "DIR", CONFIG, chroot, "make this the root folder before the guest runs"),
    OPT("sandbox", "on[,obsolete=allow|deny][,elevateprivileges=allow|deny|children]"
        "[,spawn=allow|deny][,resourcecontrol=allow|deny]", CONFIG, sandbox,
        "deny system calls that are not needed", SANDBOX_GROUP .params = sandbox_params),
    { .name = "readconfig", .arg = "FILE", .is_file = true, .help = "read options from a file" },
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
    /* Options of parts that are not here. They are known, so that a script's author learns why. */
#define ABSENT(n, has_arg, why) { .name = (n), .arg = (has_arg) ? "ARG" : NULL, .absent = (why) }
#define NO_LEGACY_DISK "use -drive or -blockdev with a virtio device"
#define NO_DISPLAY "there is no graphics; use -display none"
#define NO_TCG "CPUs are not emulated, KVM runs them"
    ABSENT("fda", true, "there is no floppy drive"),
    ABSENT("fdb", true, "there is no floppy drive"),
    ABSENT("hda", true, NO_LEGACY_DISK),
    ABSENT("hdb", true, NO_LEGACY_DISK),
    ABSENT("hdc", true, NO_LEGACY_DISK),
    ABSENT("hdd", true, NO_LEGACY_DISK),
    ABSENT("cdrom", true, NO_LEGACY_DISK),
    ABSENT("mtdblock", true, NO_LEGACY_DISK),
    ABSENT("sd", true, NO_LEGACY_DISK),
    ABSENT("option-rom", true, "the machines boot kernels directly (-kernel)"),
    ABSENT("no-fd-bootchk", false, "the machines boot kernels directly (-kernel)"),
    ABSENT("snapshot", false, "make an overlay image for the run instead"),
    ABSENT("fsdev", true, "there is no 9p file system"),
    ABSENT("virtfs", true, "there is no 9p file system"),
    ABSENT("iscsi", true, "there is no iSCSI driver"),
    ABSENT("usbdevice", true, "there is no USB controller"),
    ABSENT("vnc", true, NO_DISPLAY),
    ABSENT("spice", true, NO_DISPLAY),
    ABSENT("full-screen", false, NO_DISPLAY),
    ABSENT("portrait", false, NO_DISPLAY),
    ABSENT("rotate", true, NO_DISPLAY),
    ABSENT("audio", true, "there is no sound card"),
    ABSENT("audio-help", false, "there is no sound card"),
    ABSENT("tpmdev", true, "there is no TPM"),
    ABSENT("acpitable", true, "the ACPI tables are made by the machine"),
    ABSENT("win2k-hack", false, "there is no IDE controller"),
    ABSENT("gdb", true, "there is no GDB server"),
    ABSENT("s", false, "there is no GDB server"),
    ABSENT("debugcon", true, "there is no debug console; use a serial port or virtconsole"),
    ABSENT("singlestep", false, NO_TCG),
    ABSENT("icount", true, NO_TCG),
    ABSENT("dfilter", true, NO_TCG),
    ABSENT("plugin", true, NO_TCG),
    ABSENT("seed", true, NO_TCG),
    ABSENT("semihosting", false, NO_TCG),
    ABSENT("semihosting-config", true, NO_TCG),
    ABSENT("dump-vmstate", true, "the migration format is described in docs/devel"),
    ABSENT("enable-sync-profile", false, "there is no lock profiler"),
    ABSENT("async-teardown", false, "memory is given back by the kernel"),
    ABSENT("xen-domid", true, "there is no Xen support"),
    ABSENT("xen-attach", false, "there is no Xen support"),
    ABSENT("xen-domid-restrict", false, "there is no Xen support"),
    { .name = NULL }
};
