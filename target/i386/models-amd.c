/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU models: AMD's, Hygon's, and the one without a maker.
 * Feature words as CPUID and MSRs show them (Intel SDM volumes 2A and 3D; AMD
 * APM volume 3, appendix E), at most what the processors have and the same as
 * other programs mean by these names: a guest sees them, and moves between
 * hosts because of them. A version never changes; it is the one before it and
 * the named changes. Constant data; docs/devel/cpu-models.md.
 */
#include "util/osdep.h"
#include "models.h"

static const X86CpuModel qemu64 = {
    .name = "qemu64", .vendor = "AuthenticAMD", .family = 15, .model = 107, .stepping = 1,
    .level = 0xd, .xlevel = 0x8000000a,
    .model_id = "QEMU Virtual CPU version 2.5+",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbfd, [X86_FEATURE_1_ECX] = 0x80002001,
        [X86_FEATURE_80000001_EDX] = 0x20100800, [X86_FEATURE_80000001_ECX] = 0x5,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(qemu64_type, "qemu64", qemu64);
MODEL_TYPE(qemu64_v1_type, "qemu64-v1", qemu64, 1, "QEMU Virtual CPU version 2.5+");

static const X86CpuModel phenom = {
    .name = "phenom", .vendor = "AuthenticAMD", .family = 16, .model = 2, .stepping = 3,
    .level = 0x5, .xlevel = 0x8000001a,
    .model_id = "AMD Phenom(tm) 9550 Quad-Core Processor",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0x80802009,
        [X86_FEATURE_80000001_EDX] = 0xee500800, [X86_FEATURE_80000001_ECX] = 0x65,
        [X86_FEATURE_8000000A_EDX] = 0x1,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(phenom_type, "phenom", phenom);
MODEL_TYPE(phenom_v1_type, "phenom-v1", phenom, 1, "AMD Phenom(tm) 9550 Quad-Core Processor");

static const X86CpuModel opteron_g1 = {
    .name = "Opteron_G1", .vendor = "AuthenticAMD", .family = 15, .model = 6, .stepping = 1,
    .level = 0x5, .xlevel = 0x80000008,
    .model_id = "AMD Opteron 240 (Gen 1 Class Opteron)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0x80000001,
        [X86_FEATURE_80000001_EDX] = 0x20100800,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(opteron_g1_type, "Opteron_G1", opteron_g1);
MODEL_TYPE(opteron_g1_v1_type, "Opteron_G1-v1", opteron_g1, 1,
           "AMD Opteron 240 (Gen 1 Class Opteron)");

static const X86CpuModel opteron_g2 = {
    .name = "Opteron_G2", .vendor = "AuthenticAMD", .family = 15, .model = 6, .stepping = 1,
    .level = 0x5, .xlevel = 0x80000008,
    .model_id = "AMD Opteron 22xx (Gen 2 Class Opteron)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0x80002001,
        [X86_FEATURE_80000001_EDX] = 0x20100800, [X86_FEATURE_80000001_ECX] = 0x5,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(opteron_g2_type, "Opteron_G2", opteron_g2);
MODEL_TYPE(opteron_g2_v1_type, "Opteron_G2-v1", opteron_g2, 1,
           "AMD Opteron 22xx (Gen 2 Class Opteron)");

static const X86CpuModel opteron_g3 = {
    .name = "Opteron_G3", .vendor = "AuthenticAMD", .family = 16, .model = 2, .stepping = 3,
    .level = 0x5, .xlevel = 0x80000008,
    .model_id = "AMD Opteron 23xx (Gen 3 Class Opteron)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0x80802009,
        [X86_FEATURE_80000001_EDX] = 0x28100800, [X86_FEATURE_80000001_ECX] = 0xe5,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(opteron_g3_type, "Opteron_G3", opteron_g3);
MODEL_TYPE(opteron_g3_v1_type, "Opteron_G3-v1", opteron_g3, 1,
           "AMD Opteron 23xx (Gen 3 Class Opteron)");

static const X86CpuModel opteron_g4 = {
    .name = "Opteron_G4", .vendor = "AuthenticAMD", .family = 21, .model = 1, .stepping = 2,
    .level = 0xd, .xlevel = 0x8000001a,
    .model_id = "AMD Opteron 62xx class CPU",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0x96982203,
        [X86_FEATURE_80000001_EDX] = 0x2c100800, [X86_FEATURE_80000001_ECX] = 0x109e5,
        [X86_FEATURE_8000000A_EDX] = 0x9,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(opteron_g4_type, "Opteron_G4", opteron_g4);
MODEL_TYPE(opteron_g4_v1_type, "Opteron_G4-v1", opteron_g4, 1, "AMD Opteron 62xx class CPU");

static const X86CpuModel opteron_g5 = {
    .name = "Opteron_G5", .vendor = "AuthenticAMD", .family = 21, .model = 2, .stepping = 0,
    .level = 0xd, .xlevel = 0x8000001a,
    .model_id = "AMD Opteron 63xx class CPU",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xb6983203,
        [X86_FEATURE_80000001_EDX] = 0x2c100800, [X86_FEATURE_80000001_ECX] = 0x2109e5,
        [X86_FEATURE_8000000A_EDX] = 0x9,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(opteron_g5_type, "Opteron_G5", opteron_g5);
MODEL_TYPE(opteron_g5_v1_type, "Opteron_G5-v1", opteron_g5, 1, "AMD Opteron 63xx class CPU");

static const X86CpuModel epyc = {
    .name = "EPYC", .vendor = "AuthenticAMD", .family = 23, .model = 1, .stepping = 2,
    .level = 0xd, .xlevel = 0x8000001e, .caches = &x86_caches_epyc,
    .model_id = "AMD EPYC Processor",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xf6d8320b,
        [X86_FEATURE_7_0_EBX] = 0x209c01a9, [X86_FEATURE_80000001_EDX] = 0x2e500800,
        [X86_FEATURE_80000001_ECX] = 0x4003f5, [X86_FEATURE_8000000A_EDX] = 0x9,
        [X86_FEATURE_D_1_EAX] = 0x7, [X86_FEATURE_6_EAX] = 0x4,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .model_id = "AMD EPYC Processor (with IBPB)",
          .changes = "ibpb=on" },
        { .model_id = "AMD EPYC Processor",
          .changes = "clzero=on,perfctr-core=on,xsaveerptr=on,xsaves=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(epyc_type, "EPYC", epyc);
MODEL_TYPE(epyc_v1_type, "EPYC-v1", epyc, 1, "AMD EPYC Processor");
MODEL_TYPE(epyc_v2_type, "EPYC-v2", epyc, 2, "AMD EPYC Processor (with IBPB)");
MODEL_TYPE(epyc_ibpb_type, "EPYC-IBPB", epyc, 2, "(alias of EPYC-v2)");
MODEL_TYPE(epyc_v3_type, "EPYC-v3", epyc, 3, "AMD EPYC Processor");

static const X86CpuModel epyc_rome = {
    .name = "EPYC-Rome", .vendor = "AuthenticAMD", .family = 23, .model = 49, .stepping = 0,
    .level = 0xd, .xlevel = 0x8000001e, .caches = &x86_caches_epyc_rome,
    .model_id = "AMD EPYC-Rome Processor",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xf6d8320b,
        [X86_FEATURE_7_0_EBX] = 0x219c01a9, [X86_FEATURE_7_0_ECX] = 0x400004,
        [X86_FEATURE_80000001_EDX] = 0x2e500800, [X86_FEATURE_80000001_ECX] = 0xc003f5,
        [X86_FEATURE_80000008_EBX] = 0x9205, [X86_FEATURE_8000000A_EDX] = 0x9,
        [X86_FEATURE_D_1_EAX] = 0xf, [X86_FEATURE_6_EAX] = 0x4,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .changes = "amd-ssbd=on,ibrs=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(epyc_rome_type, "EPYC-Rome", epyc_rome);
MODEL_TYPE(epyc_rome_v1_type, "EPYC-Rome-v1", epyc_rome, 1, "AMD EPYC-Rome Processor");
MODEL_TYPE(epyc_rome_v2_type, "EPYC-Rome-v2", epyc_rome, 2, "AMD EPYC-Rome Processor");

static const X86CpuModel epyc_milan = {
    .name = "EPYC-Milan", .vendor = "AuthenticAMD", .family = 25, .model = 1, .stepping = 1,
    .level = 0xd, .xlevel = 0x8000001e, .caches = &x86_caches_epyc_milan,
    .model_id = "AMD EPYC-Milan Processor",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xf6da320b,
        [X86_FEATURE_7_0_EBX] = 0x219c07a9, [X86_FEATURE_7_0_ECX] = 0x40000c,
        [X86_FEATURE_7_0_EDX] = 0x10, [X86_FEATURE_80000001_EDX] = 0x2e500800,
        [X86_FEATURE_80000001_ECX] = 0xc003f5, [X86_FEATURE_80000008_EBX] = 0x100d205,
        [X86_FEATURE_8000000A_EDX] = 0x10000009, [X86_FEATURE_D_1_EAX] = 0xf,
        [X86_FEATURE_6_EAX] = 0x4,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(epyc_milan_type, "EPYC-Milan", epyc_milan);
MODEL_TYPE(epyc_milan_v1_type, "EPYC-Milan-v1", epyc_milan, 1, "AMD EPYC-Milan Processor");

static const X86CpuModel dhyana = {
    .name = "Dhyana", .vendor = "HygonGenuine", .family = 24, .model = 0, .stepping = 1,
    .level = 0xd, .xlevel = 0x8000001e, .caches = &x86_caches_dhyana,
    .model_id = "Hygon Dhyana Processor",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xf4d83209,
        [X86_FEATURE_7_0_EBX] = 0x9c01a9, [X86_FEATURE_80000001_EDX] = 0x2e500800,
        [X86_FEATURE_80000001_ECX] = 0x4003f5, [X86_FEATURE_80000008_EBX] = 0x1000,
        [X86_FEATURE_8000000A_EDX] = 0x9, [X86_FEATURE_D_1_EAX] = 0x7, [X86_FEATURE_6_EAX] = 0x4,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .changes = "xsaves=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(dhyana_type, "Dhyana", dhyana);
MODEL_TYPE(dhyana_v1_type, "Dhyana-v1", dhyana, 1, "Hygon Dhyana Processor");
MODEL_TYPE(dhyana_v2_type, "Dhyana-v2", dhyana, 2, "Hygon Dhyana Processor [XSAVES]");
