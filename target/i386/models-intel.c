/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU models: Intel's.
 * Feature words as CPUID and MSRs show them (Intel SDM volumes 2A and 3D; AMD
 * APM volume 3, appendix E), at most what the processors have and the same as
 * other programs mean by these names: a guest sees them, and moves between
 * hosts because of them. A version never changes; it is the one before it and
 * the named changes. Constant data; docs/devel/cpu-models.md.
 */
#include "util/osdep.h"
#include "models.h"

static const X86CpuModel kvm64 = {
    .name = "kvm64", .vendor = "GenuineIntel", .family = 15, .model = 6, .stepping = 1,
    .level = 0xd, .xlevel = 0x80000008,
    .model_id = "Common KVM processor",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0x80002001,
        [X86_FEATURE_80000001_EDX] = 0x20100800, [X86_FEATURE_VMX_PIN] = 0x9,
        [X86_FEATURE_VMX_PROC] = 0x63b81e8c, [X86_FEATURE_VMX_EXIT] = 0x8000,
        [X86_FEATURE_VMX_ENTRY] = 0x200, [X86_FEATURE_VMX_MISC] = 0x40,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(kvm64_type, "kvm64", kvm64);
MODEL_TYPE(kvm64_v1_type, "kvm64-v1", kvm64, 1, "Common KVM processor");

static const X86CpuModel core2duo = {
    .name = "core2duo", .vendor = "GenuineIntel", .family = 6, .model = 15, .stepping = 11,
    .level = 0xa, .xlevel = 0x80000008,
    .model_id = "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz",
    .features = {
        [X86_FEATURE_1_EDX] = 0xfcbfbff, [X86_FEATURE_1_ECX] = 0x80002209,
        [X86_FEATURE_80000001_EDX] = 0x20100800, [X86_FEATURE_80000001_ECX] = 0x1,
        [X86_FEATURE_VMX_BASIC] = 0x40000000000000, [X86_FEATURE_VMX_PIN] = 0x29,
        [X86_FEATURE_VMX_PROC] = 0xf3f81e8c, [X86_FEATURE_VMX_PROC2] = 0x1,
        [X86_FEATURE_VMX_EXIT] = 0x8000, [X86_FEATURE_VMX_ENTRY] = 0x200,
        [X86_FEATURE_VMX_MISC] = 0x40,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(core2duo_type, "core2duo", core2duo);
MODEL_TYPE(core2duo_v1_type, "core2duo-v1", core2duo, 1,
           "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz");

static const X86CpuModel conroe = {
    .name = "Conroe", .vendor = "GenuineIntel", .family = 6, .model = 15, .stepping = 3,
    .level = 0xa, .xlevel = 0x80000008,
    .model_id = "Intel Celeron_4x0 (Conroe/Merom Class Core 2)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0x80000201,
        [X86_FEATURE_80000001_EDX] = 0x20100800, [X86_FEATURE_80000001_ECX] = 0x1,
        [X86_FEATURE_VMX_BASIC] = 0x40000000000000, [X86_FEATURE_VMX_PIN] = 0x29,
        [X86_FEATURE_VMX_PROC] = 0xf3f81e8c, [X86_FEATURE_VMX_PROC2] = 0x1,
        [X86_FEATURE_VMX_EXIT] = 0x8000, [X86_FEATURE_VMX_ENTRY] = 0x200,
        [X86_FEATURE_VMX_MISC] = 0x40,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(conroe_type, "Conroe", conroe);
MODEL_TYPE(conroe_v1_type, "Conroe-v1", conroe, 1,
           "Intel Celeron_4x0 (Conroe/Merom Class Core 2)");

static const X86CpuModel penryn = {
    .name = "Penryn", .vendor = "GenuineIntel", .family = 6, .model = 23, .stepping = 3,
    .level = 0xa, .xlevel = 0x80000008,
    .model_id = "Intel Core 2 Duo P9xxx (Penryn Class Core 2)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0x80082201,
        [X86_FEATURE_80000001_EDX] = 0x20100800, [X86_FEATURE_80000001_ECX] = 0x1,
        [X86_FEATURE_VMX_BASIC] = 0x40000000000000, [X86_FEATURE_VMX_PIN] = 0x29,
        [X86_FEATURE_VMX_PROC] = 0xf3f81e8c, [X86_FEATURE_VMX_PROC2] = 0x41,
        [X86_FEATURE_VMX_EXIT] = 0x9000, [X86_FEATURE_VMX_ENTRY] = 0x2200,
        [X86_FEATURE_VMX_MISC] = 0x40,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(penryn_type, "Penryn", penryn);
MODEL_TYPE(penryn_v1_type, "Penryn-v1", penryn, 1,
           "Intel Core 2 Duo P9xxx (Penryn Class Core 2)");

static const X86CpuModel nehalem = {
    .name = "Nehalem", .vendor = "GenuineIntel", .family = 6, .model = 26, .stepping = 3,
    .level = 0xb, .xlevel = 0x80000008,
    .model_id = "Intel Core i7 9xx (Nehalem Class Core i7)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0x80982201,
        [X86_FEATURE_80000001_EDX] = 0x20100800, [X86_FEATURE_80000001_ECX] = 0x1,
        [X86_FEATURE_VMX_BASIC] = 0xc0000000000000, [X86_FEATURE_VMX_PIN] = 0x69,
        [X86_FEATURE_VMX_PROC] = 0xfbf99e8c, [X86_FEATURE_VMX_PROC2] = 0x77,
        [X86_FEATURE_VMX_EXIT] = 0x7c9004, [X86_FEATURE_VMX_ENTRY] = 0xe204,
        [X86_FEATURE_VMX_MISC] = 0x40, [X86_FEATURE_VMX_EPT_VPID] = 0xf0106130041,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .model_id = "Intel Core i7 9xx (Nehalem Core i7, IBRS update)",
          .changes = "spec-ctrl=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(nehalem_type, "Nehalem", nehalem);
MODEL_TYPE(nehalem_v1_type, "Nehalem-v1", nehalem, 1,
           "Intel Core i7 9xx (Nehalem Class Core i7)");
MODEL_TYPE(nehalem_v2_type, "Nehalem-v2", nehalem, 2,
           "Intel Core i7 9xx (Nehalem Core i7, IBRS update)");
MODEL_TYPE(nehalem_ibrs_type, "Nehalem-IBRS", nehalem, 2, "(alias of Nehalem-v2)");

static const X86CpuModel westmere = {
    .name = "Westmere", .vendor = "GenuineIntel", .family = 6, .model = 44, .stepping = 1,
    .level = 0xb, .xlevel = 0x80000008,
    .model_id = "Westmere E56xx/L56xx/X56xx (Nehalem-C)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0x82982203,
        [X86_FEATURE_80000001_EDX] = 0x20100800, [X86_FEATURE_80000001_ECX] = 0x1,
        [X86_FEATURE_6_EAX] = 0x4, [X86_FEATURE_VMX_BASIC] = 0xc0000000000000,
        [X86_FEATURE_VMX_PIN] = 0x69, [X86_FEATURE_VMX_PROC] = 0xfbf99e8c,
        [X86_FEATURE_VMX_PROC2] = 0xf7, [X86_FEATURE_VMX_EXIT] = 0x7c9004,
        [X86_FEATURE_VMX_ENTRY] = 0xe204, [X86_FEATURE_VMX_MISC] = 0x60,
        [X86_FEATURE_VMX_EPT_VPID] = 0xf0106130041,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .model_id = "Westmere E56xx/L56xx/X56xx (IBRS update)",
          .changes = "spec-ctrl=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(westmere_type, "Westmere", westmere);
MODEL_TYPE(westmere_v1_type, "Westmere-v1", westmere, 1,
           "Westmere E56xx/L56xx/X56xx (Nehalem-C)");
MODEL_TYPE(westmere_v2_type, "Westmere-v2", westmere, 2,
           "Westmere E56xx/L56xx/X56xx (IBRS update)");
MODEL_TYPE(westmere_ibrs_type, "Westmere-IBRS", westmere, 2, "(alias of Westmere-v2)");

static const X86CpuModel sandybridge = {
    .name = "SandyBridge", .vendor = "GenuineIntel", .family = 6, .model = 42, .stepping = 1,
    .level = 0xd, .xlevel = 0x80000008,
    .model_id = "Intel Xeon E312xx (Sandy Bridge)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0x97b82203,
        [X86_FEATURE_80000001_EDX] = 0x28100800, [X86_FEATURE_80000001_ECX] = 0x1,
        [X86_FEATURE_D_1_EAX] = 0x1, [X86_FEATURE_6_EAX] = 0x4,
        [X86_FEATURE_VMX_BASIC] = 0xc0000000000000, [X86_FEATURE_VMX_PIN] = 0x69,
        [X86_FEATURE_VMX_PROC] = 0xfbf99e8c, [X86_FEATURE_VMX_PROC2] = 0xff,
        [X86_FEATURE_VMX_EXIT] = 0x7c9004, [X86_FEATURE_VMX_ENTRY] = 0xe204,
        [X86_FEATURE_VMX_MISC] = 0x60, [X86_FEATURE_VMX_EPT_VPID] = 0xf0106130041,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .model_id = "Intel Xeon E312xx (Sandy Bridge, IBRS update)",
          .changes = "spec-ctrl=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(sandybridge_type, "SandyBridge", sandybridge);
MODEL_TYPE(sandybridge_v1_type, "SandyBridge-v1", sandybridge, 1,
           "Intel Xeon E312xx (Sandy Bridge)");
MODEL_TYPE(sandybridge_v2_type, "SandyBridge-v2", sandybridge, 2,
           "Intel Xeon E312xx (Sandy Bridge, IBRS update)");
MODEL_TYPE(sandybridge_ibrs_type, "SandyBridge-IBRS", sandybridge, 2,
           "(alias of SandyBridge-v2)");

static const X86CpuModel ivybridge = {
    .name = "IvyBridge", .vendor = "GenuineIntel", .family = 6, .model = 58, .stepping = 9,
    .level = 0xd, .xlevel = 0x80000008,
    .model_id = "Intel Xeon E3-12xx v2 (Ivy Bridge)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xf7b82203,
        [X86_FEATURE_7_0_EBX] = 0x281, [X86_FEATURE_80000001_EDX] = 0x28100800,
        [X86_FEATURE_80000001_ECX] = 0x1, [X86_FEATURE_D_1_EAX] = 0x1, [X86_FEATURE_6_EAX] = 0x4,
        [X86_FEATURE_VMX_BASIC] = 0xc0000000000000, [X86_FEATURE_VMX_PIN] = 0xe9,
        [X86_FEATURE_VMX_PROC] = 0xfbf99e8c, [X86_FEATURE_VMX_PROC2] = 0xbff,
        [X86_FEATURE_VMX_EXIT] = 0x7c9004, [X86_FEATURE_VMX_ENTRY] = 0xe204,
        [X86_FEATURE_VMX_MISC] = 0x60, [X86_FEATURE_VMX_EPT_VPID] = 0xf0106130041,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .model_id = "Intel Xeon E3-12xx v2 (Ivy Bridge, IBRS)",
          .changes = "spec-ctrl=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(ivybridge_type, "IvyBridge", ivybridge);
MODEL_TYPE(ivybridge_v1_type, "IvyBridge-v1", ivybridge, 1, "Intel Xeon E3-12xx v2 (Ivy Bridge)");
MODEL_TYPE(ivybridge_v2_type, "IvyBridge-v2", ivybridge, 2,
           "Intel Xeon E3-12xx v2 (Ivy Bridge, IBRS)");
MODEL_TYPE(ivybridge_ibrs_type, "IvyBridge-IBRS", ivybridge, 2, "(alias of IvyBridge-v2)");

static const X86CpuModel haswell = {
    .name = "Haswell", .vendor = "GenuineIntel", .family = 6, .model = 60, .stepping = 4,
    .level = 0xd, .xlevel = 0x80000008,
    .model_id = "Intel Core Processor (Haswell)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xf7fa3203,
        [X86_FEATURE_7_0_EBX] = 0xfb9, [X86_FEATURE_80000001_EDX] = 0x28100800,
        [X86_FEATURE_80000001_ECX] = 0x21, [X86_FEATURE_D_1_EAX] = 0x1,
        [X86_FEATURE_6_EAX] = 0x4, [X86_FEATURE_VMX_BASIC] = 0xc0000000000000,
        [X86_FEATURE_VMX_PIN] = 0xe9, [X86_FEATURE_VMX_PROC] = 0xfbf99e8c,
        [X86_FEATURE_VMX_PROC2] = 0x7bff, [X86_FEATURE_VMX_EXIT] = 0x7c9004,
        [X86_FEATURE_VMX_ENTRY] = 0xe204, [X86_FEATURE_VMX_MISC] = 0x20000060,
        [X86_FEATURE_VMX_EPT_VPID] = 0xf0106330041, [X86_FEATURE_VMX_VMFUNC] = 0x1,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .model_id = "Intel Core Processor (Haswell, no TSX)",
          .changes = "hle=off,rtm=off,stepping=1" },
        { .model_id = "Intel Core Processor (Haswell, IBRS)",
          .changes = "hle=on,rtm=on,spec-ctrl=on,stepping=4" },
        { .model_id = "Intel Core Processor (Haswell, no TSX, IBRS)",
          .changes = "hle=off,rtm=off,stepping=1" },
        { NULL },
    },
};
MODEL_TYPE_ANY(haswell_type, "Haswell", haswell);
MODEL_TYPE(haswell_v1_type, "Haswell-v1", haswell, 1, "Intel Core Processor (Haswell)");
MODEL_TYPE(haswell_v2_type, "Haswell-v2", haswell, 2, "Intel Core Processor (Haswell, no TSX)");
MODEL_TYPE(haswell_notsx_type, "Haswell-noTSX", haswell, 2, "(alias of Haswell-v2)");
MODEL_TYPE(haswell_v3_type, "Haswell-v3", haswell, 3, "Intel Core Processor (Haswell, IBRS)");
MODEL_TYPE(haswell_ibrs_type, "Haswell-IBRS", haswell, 3, "(alias of Haswell-v3)");
MODEL_TYPE(haswell_v4_type, "Haswell-v4", haswell, 4,
           "Intel Core Processor (Haswell, no TSX, IBRS)");
MODEL_TYPE(haswell_notsx_ibrs_type, "Haswell-noTSX-IBRS", haswell, 4, "(alias of Haswell-v4)");

static const X86CpuModel broadwell = {
    .name = "Broadwell", .vendor = "GenuineIntel", .family = 6, .model = 61, .stepping = 2,
    .level = 0xd, .xlevel = 0x80000008,
    .model_id = "Intel Core Processor (Broadwell)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xf7fa3203,
        [X86_FEATURE_7_0_EBX] = 0x1c0fb9, [X86_FEATURE_80000001_EDX] = 0x28100800,
        [X86_FEATURE_80000001_ECX] = 0x121, [X86_FEATURE_D_1_EAX] = 0x1,
        [X86_FEATURE_6_EAX] = 0x4, [X86_FEATURE_VMX_BASIC] = 0xc0000000000000,
        [X86_FEATURE_VMX_PIN] = 0xe9, [X86_FEATURE_VMX_PROC] = 0xfbf99e8c,
        [X86_FEATURE_VMX_PROC2] = 0x37bff, [X86_FEATURE_VMX_EXIT] = 0x7c9004,
        [X86_FEATURE_VMX_ENTRY] = 0xe204, [X86_FEATURE_VMX_MISC] = 0x20000060,
        [X86_FEATURE_VMX_EPT_VPID] = 0xf0106330041, [X86_FEATURE_VMX_VMFUNC] = 0x1,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .model_id = "Intel Core Processor (Broadwell, no TSX)",
          .changes = "hle=off,rtm=off" },
        { .model_id = "Intel Core Processor (Broadwell, IBRS)",
          .changes = "hle=on,rtm=on,spec-ctrl=on" },
        { .model_id = "Intel Core Processor (Broadwell, no TSX, IBRS)",
          .changes = "hle=off,rtm=off" },
        { NULL },
    },
};
MODEL_TYPE_ANY(broadwell_type, "Broadwell", broadwell);
MODEL_TYPE(broadwell_v1_type, "Broadwell-v1", broadwell, 1, "Intel Core Processor (Broadwell)");
MODEL_TYPE(broadwell_v2_type, "Broadwell-v2", broadwell, 2,
           "Intel Core Processor (Broadwell, no TSX)");
MODEL_TYPE(broadwell_notsx_type, "Broadwell-noTSX", broadwell, 2, "(alias of Broadwell-v2)");
MODEL_TYPE(broadwell_v3_type, "Broadwell-v3", broadwell, 3,
           "Intel Core Processor (Broadwell, IBRS)");
MODEL_TYPE(broadwell_ibrs_type, "Broadwell-IBRS", broadwell, 3, "(alias of Broadwell-v3)");
MODEL_TYPE(broadwell_v4_type, "Broadwell-v4", broadwell, 4,
           "Intel Core Processor (Broadwell, no TSX, IBRS)");
MODEL_TYPE(broadwell_notsx_ibrs_type, "Broadwell-noTSX-IBRS", broadwell, 4,
           "(alias of Broadwell-v4)");

static const X86CpuModel skylake_client = {
    .name = "Skylake-Client", .vendor = "GenuineIntel", .family = 6, .model = 94, .stepping = 3,
    .level = 0xd, .xlevel = 0x80000008,
    .model_id = "Intel Core Processor (Skylake)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xf7fa3203,
        [X86_FEATURE_7_0_EBX] = 0x1c0fb9, [X86_FEATURE_80000001_EDX] = 0x28100800,
        [X86_FEATURE_80000001_ECX] = 0x121, [X86_FEATURE_D_1_EAX] = 0x7,
        [X86_FEATURE_6_EAX] = 0x4, [X86_FEATURE_VMX_BASIC] = 0xc0000000000000,
        [X86_FEATURE_VMX_PIN] = 0x69, [X86_FEATURE_VMX_PROC] = 0xfbf99e8c,
        [X86_FEATURE_VMX_PROC2] = 0x378ef, [X86_FEATURE_VMX_EXIT] = 0x7c9004,
        [X86_FEATURE_VMX_ENTRY] = 0xe204, [X86_FEATURE_VMX_MISC] = 0x20000060,
        [X86_FEATURE_VMX_EPT_VPID] = 0xf0106330041, [X86_FEATURE_VMX_VMFUNC] = 0x1,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .model_id = "Intel Core Processor (Skylake, IBRS)",
          .changes = "spec-ctrl=on" },
        { .model_id = "Intel Core Processor (Skylake, IBRS, no TSX)",
          .changes = "hle=off,rtm=off" },
        { .changes = "vmx-xsaves=on,xsaves=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(skylake_client_type, "Skylake-Client", skylake_client);
MODEL_TYPE(skylake_client_v1_type, "Skylake-Client-v1", skylake_client, 1,
           "Intel Core Processor (Skylake)");
MODEL_TYPE(skylake_client_v2_type, "Skylake-Client-v2", skylake_client, 2,
           "Intel Core Processor (Skylake, IBRS)");
MODEL_TYPE(skylake_client_ibrs_type, "Skylake-Client-IBRS", skylake_client, 2,
           "(alias of Skylake-Client-v2)");
MODEL_TYPE(skylake_client_v3_type, "Skylake-Client-v3", skylake_client, 3,
           "Intel Core Processor (Skylake, IBRS, no TSX)");
MODEL_TYPE(skylake_client_notsx_ibrs_type, "Skylake-Client-noTSX-IBRS", skylake_client, 3,
           "(alias of Skylake-Client-v3)");
MODEL_TYPE(skylake_client_v4_type, "Skylake-Client-v4", skylake_client, 4,
           "Intel Core Processor (Skylake, IBRS, no TSX) [IBRS, XSAVES, no TSX]");

static const X86CpuModel skylake_server = {
    .name = "Skylake-Server", .vendor = "GenuineIntel", .family = 6, .model = 85, .stepping = 4,
    .level = 0xd, .xlevel = 0x80000008,
    .model_id = "Intel Xeon Processor (Skylake)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xf7fa3203,
        [X86_FEATURE_7_0_EBX] = 0xd19f0fb9, [X86_FEATURE_7_0_ECX] = 0x8,
        [X86_FEATURE_80000001_EDX] = 0x2c100800, [X86_FEATURE_80000001_ECX] = 0x121,
        [X86_FEATURE_D_1_EAX] = 0x7, [X86_FEATURE_6_EAX] = 0x4,
        [X86_FEATURE_VMX_BASIC] = 0xc0000000000000, [X86_FEATURE_VMX_PIN] = 0xe9,
        [X86_FEATURE_VMX_PROC] = 0xfbf99e8c, [X86_FEATURE_VMX_PROC2] = 0x37bff,
        [X86_FEATURE_VMX_EXIT] = 0x7c9004, [X86_FEATURE_VMX_ENTRY] = 0xe204,
        [X86_FEATURE_VMX_MISC] = 0x20000060, [X86_FEATURE_VMX_EPT_VPID] = 0xf0106330041,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .model_id = "Intel Xeon Processor (Skylake, IBRS)",
          .changes = "clflushopt=off,spec-ctrl=on" },
        { .model_id = "Intel Xeon Processor (Skylake, IBRS, no TSX)",
          .changes = "hle=off,rtm=off" },
        { .changes = "vmx-eptp-switching=on" },
        { .changes = "vmx-xsaves=on,xsaves=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(skylake_server_type, "Skylake-Server", skylake_server);
MODEL_TYPE(skylake_server_v1_type, "Skylake-Server-v1", skylake_server, 1,
           "Intel Xeon Processor (Skylake)");
MODEL_TYPE(skylake_server_v2_type, "Skylake-Server-v2", skylake_server, 2,
           "Intel Xeon Processor (Skylake, IBRS)");
MODEL_TYPE(skylake_server_ibrs_type, "Skylake-Server-IBRS", skylake_server, 2,
           "(alias of Skylake-Server-v2)");
MODEL_TYPE(skylake_server_v3_type, "Skylake-Server-v3", skylake_server, 3,
           "Intel Xeon Processor (Skylake, IBRS, no TSX)");
MODEL_TYPE(skylake_server_notsx_ibrs_type, "Skylake-Server-noTSX-IBRS", skylake_server, 3,
           "(alias of Skylake-Server-v3)");
MODEL_TYPE(skylake_server_v4_type, "Skylake-Server-v4", skylake_server, 4,
           "Intel Xeon Processor (Skylake, IBRS, no TSX) [IBRS, EPT switching, no TSX]");
MODEL_TYPE(skylake_server_v5_type, "Skylake-Server-v5", skylake_server, 5,
           "Intel Xeon Processor (Skylake, IBRS, no TSX) [IBRS, XSAVES, EPT switching, no TSX]");

static const X86CpuModel cascadelake_server = {
    .name = "Cascadelake-Server", .vendor = "GenuineIntel", .family = 6, .model = 85, .stepping = 6,
    .level = 0xd, .xlevel = 0x80000008,
    .model_id = "Intel Xeon Processor (Cascadelake)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xf7fa3203,
        [X86_FEATURE_7_0_EBX] = 0xd19f0fb9, [X86_FEATURE_7_0_ECX] = 0x808,
        [X86_FEATURE_7_0_EDX] = 0x84000000, [X86_FEATURE_80000001_EDX] = 0x2c100800,
        [X86_FEATURE_80000001_ECX] = 0x121, [X86_FEATURE_D_1_EAX] = 0x7,
        [X86_FEATURE_6_EAX] = 0x4, [X86_FEATURE_VMX_BASIC] = 0xc0000000000000,
        [X86_FEATURE_VMX_PIN] = 0xe9, [X86_FEATURE_VMX_PROC] = 0xfbf99e8c,
        [X86_FEATURE_VMX_PROC2] = 0x37bff, [X86_FEATURE_VMX_EXIT] = 0x7c9004,
        [X86_FEATURE_VMX_ENTRY] = 0xe204, [X86_FEATURE_VMX_MISC] = 0x20000060,
        [X86_FEATURE_VMX_EPT_VPID] = 0xf0106330041,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .changes = "arch-capabilities=on,ibrs-all=on,mds-no=on,rdctl-no=on,"
                     "skip-l1dfl-vmentry=on" },
        { .changes = "hle=off,rtm=off" },
        { .changes = "vmx-eptp-switching=on" },
        { .changes = "vmx-xsaves=on,xsaves=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(cascadelake_server_type, "Cascadelake-Server", cascadelake_server);
MODEL_TYPE(cascadelake_server_v1_type, "Cascadelake-Server-v1", cascadelake_server, 1,
           "Intel Xeon Processor (Cascadelake)");
MODEL_TYPE(cascadelake_server_v2_type, "Cascadelake-Server-v2", cascadelake_server, 2,
           "Intel Xeon Processor (Cascadelake) [ARCH_CAPABILITIES]");
MODEL_TYPE(cascadelake_server_v3_type, "Cascadelake-Server-v3", cascadelake_server, 3,
           "Intel Xeon Processor (Cascadelake) [ARCH_CAPABILITIES, no TSX]");
MODEL_TYPE(cascadelake_server_notsx_type, "Cascadelake-Server-noTSX", cascadelake_server, 3,
           "(alias of Cascadelake-Server-v3)");
MODEL_TYPE(cascadelake_server_v4_type, "Cascadelake-Server-v4", cascadelake_server, 4,
           "Intel Xeon Processor (Cascadelake) [ARCH_CAPABILITIES, EPT switching, no TSX]");
MODEL_TYPE(cascadelake_server_v5_type, "Cascadelake-Server-v5", cascadelake_server, 5,
           "Intel Xeon Processor (Cascadelake) [ARCH_CAPABILITIES, EPT switching, XSAVES, no TSX]");

static const X86CpuModel cooperlake = {
    .name = "Cooperlake", .vendor = "GenuineIntel", .family = 6, .model = 85, .stepping = 10,
    .level = 0xd, .xlevel = 0x80000008,
    .model_id = "Intel Xeon Processor (Cooperlake)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xf7fa3203,
        [X86_FEATURE_7_0_EBX] = 0xd19f0fb9, [X86_FEATURE_7_0_ECX] = 0x808,
        [X86_FEATURE_7_0_EDX] = 0xac000000, [X86_FEATURE_7_1_EAX] = 0x20,
        [X86_FEATURE_80000001_EDX] = 0x2c100800, [X86_FEATURE_80000001_ECX] = 0x121,
        [X86_FEATURE_D_1_EAX] = 0x7, [X86_FEATURE_6_EAX] = 0x4,
        [X86_FEATURE_ARCH_CAPABILITIES] = 0x16b, [X86_FEATURE_VMX_BASIC] = 0xc0000000000000,
        [X86_FEATURE_VMX_PIN] = 0xe9, [X86_FEATURE_VMX_PROC] = 0xfbf99e8c,
        [X86_FEATURE_VMX_PROC2] = 0x37bff, [X86_FEATURE_VMX_EXIT] = 0x7c9004,
        [X86_FEATURE_VMX_ENTRY] = 0xe204, [X86_FEATURE_VMX_MISC] = 0x20000060,
        [X86_FEATURE_VMX_EPT_VPID] = 0xf0106330041, [X86_FEATURE_VMX_VMFUNC] = 0x1,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .changes = "vmx-xsaves=on,xsaves=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(cooperlake_type, "Cooperlake", cooperlake);
MODEL_TYPE(cooperlake_v1_type, "Cooperlake-v1", cooperlake, 1,
           "Intel Xeon Processor (Cooperlake)");
MODEL_TYPE(cooperlake_v2_type, "Cooperlake-v2", cooperlake, 2,
           "Intel Xeon Processor (Cooperlake) [XSAVES]");

static const X86CpuModel icelake_server = {
    .name = "Icelake-Server", .vendor = "GenuineIntel", .family = 6, .model = 134, .stepping = 0,
    .level = 0xd, .xlevel = 0x80000008,
    .model_id = "Intel Xeon Processor (Icelake)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xf7fa3203,
        [X86_FEATURE_7_0_EBX] = 0xd19f0fb9, [X86_FEATURE_7_0_ECX] = 0x15f4e,
        [X86_FEATURE_7_0_EDX] = 0x84000000, [X86_FEATURE_80000001_EDX] = 0x2c100800,
        [X86_FEATURE_80000001_ECX] = 0x121, [X86_FEATURE_80000008_EBX] = 0x200,
        [X86_FEATURE_D_1_EAX] = 0x7, [X86_FEATURE_6_EAX] = 0x4,
        [X86_FEATURE_VMX_BASIC] = 0xc0000000000000, [X86_FEATURE_VMX_PIN] = 0xe9,
        [X86_FEATURE_VMX_PROC] = 0xfbf99e8c, [X86_FEATURE_VMX_PROC2] = 0x7bff,
        [X86_FEATURE_VMX_EXIT] = 0x7c9004, [X86_FEATURE_VMX_ENTRY] = 0xe204,
        [X86_FEATURE_VMX_MISC] = 0x20000060, [X86_FEATURE_VMX_EPT_VPID] = 0xf0106330041,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .changes = "hle=off,rtm=off" },
        { .changes = "arch-capabilities=on,ibrs-all=on,mds-no=on,pschange-mc-no=on,rdctl-no=on,"
                     "skip-l1dfl-vmentry=on,taa-no=on" },
        { .changes = "avx512ifma=on,fsrm=on,model=106,rdpid=on,sha-ni=on,vmx-eptp-switching=on,"
                     "vmx-pml=on,vmx-rdseed-exit=on" },
        { .changes = "vmx-xsaves=on,xsaves=on" },
        { .changes = "vmx-page-walk-5=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(icelake_server_type, "Icelake-Server", icelake_server);
MODEL_TYPE(icelake_server_v1_type, "Icelake-Server-v1", icelake_server, 1,
           "Intel Xeon Processor (Icelake)");
MODEL_TYPE(icelake_server_v2_type, "Icelake-Server-v2", icelake_server, 2,
           "Intel Xeon Processor (Icelake) [no TSX]");
MODEL_TYPE(icelake_server_notsx_type, "Icelake-Server-noTSX", icelake_server, 2,
           "(alias of Icelake-Server-v2)");
MODEL_TYPE(icelake_server_v3_type, "Icelake-Server-v3", icelake_server, 3,
           "Intel Xeon Processor (Icelake)");
MODEL_TYPE(icelake_server_v4_type, "Icelake-Server-v4", icelake_server, 4,
           "Intel Xeon Processor (Icelake)");
MODEL_TYPE(icelake_server_v5_type, "Icelake-Server-v5", icelake_server, 5,
           "Intel Xeon Processor (Icelake) [XSAVES]");
MODEL_TYPE(icelake_server_v6_type, "Icelake-Server-v6", icelake_server, 6,
           "Intel Xeon Processor (Icelake) [5-level EPT]");

static const X86CpuModel denverton = {
    .name = "Denverton", .vendor = "GenuineIntel", .family = 6, .model = 95, .stepping = 1,
    .level = 0x15, .xlevel = 0x80000008,
    .model_id = "Intel Atom Processor (Denverton)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xc7f8220b,
        [X86_FEATURE_7_0_EBX] = 0x20944281, [X86_FEATURE_7_0_EDX] = 0xa4000000,
        [X86_FEATURE_80000001_EDX] = 0x2c100800, [X86_FEATURE_80000001_ECX] = 0x101,
        [X86_FEATURE_D_1_EAX] = 0x7, [X86_FEATURE_6_EAX] = 0x4,
        [X86_FEATURE_ARCH_CAPABILITIES] = 0x9, [X86_FEATURE_VMX_BASIC] = 0xc0000000000000,
        [X86_FEATURE_VMX_PIN] = 0xe9, [X86_FEATURE_VMX_PROC] = 0xfbf99e8c,
        [X86_FEATURE_VMX_PROC2] = 0x36bff, [X86_FEATURE_VMX_EXIT] = 0x7c9004,
        [X86_FEATURE_VMX_ENTRY] = 0xe204, [X86_FEATURE_VMX_MISC] = 0x20000060,
        [X86_FEATURE_VMX_EPT_VPID] = 0xf0106330041, [X86_FEATURE_VMX_VMFUNC] = 0x1,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .changes = "monitor=off,mpx=off" },
        { .changes = "vmx-xsaves=on,xsaves=on" },
        { NULL },
    },
};
MODEL_TYPE_ANY(denverton_type, "Denverton", denverton);
MODEL_TYPE(denverton_v1_type, "Denverton-v1", denverton, 1, "Intel Atom Processor (Denverton)");
MODEL_TYPE(denverton_v2_type, "Denverton-v2", denverton, 2,
           "Intel Atom Processor (Denverton) [no MPX, no MONITOR]");
MODEL_TYPE(denverton_v3_type, "Denverton-v3", denverton, 3,
           "Intel Atom Processor (Denverton) [XSAVES, no MPX, no MONITOR]");

static const X86CpuModel snowridge = {
    .name = "Snowridge", .vendor = "GenuineIntel", .family = 6, .model = 134, .stepping = 1,
    .level = 0x1b, .xlevel = 0x80000008,
    .model_id = "Intel Atom Processor (SnowRidge)",
    .features = {
        [X86_FEATURE_1_EDX] = 0x78bfbff, [X86_FEATURE_1_ECX] = 0xc7f8220b,
        [X86_FEATURE_7_0_EBX] = 0x21944281, [X86_FEATURE_7_0_ECX] = 0x1a000104,
        [X86_FEATURE_7_0_EDX] = 0xe4000000, [X86_FEATURE_80000001_EDX] = 0x2c100800,
        [X86_FEATURE_80000001_ECX] = 0x101, [X86_FEATURE_D_1_EAX] = 0x7,
        [X86_FEATURE_6_EAX] = 0x4, [X86_FEATURE_CORE_CAPABILITY] = 0x20,
        [X86_FEATURE_VMX_BASIC] = 0xc0000000000000, [X86_FEATURE_VMX_PIN] = 0xe9,
        [X86_FEATURE_VMX_PROC] = 0xfbf99e8c, [X86_FEATURE_VMX_PROC2] = 0x36bff,
        [X86_FEATURE_VMX_EXIT] = 0x7c9004, [X86_FEATURE_VMX_ENTRY] = 0xe204,
        [X86_FEATURE_VMX_MISC] = 0x20000060, [X86_FEATURE_VMX_EPT_VPID] = 0xf0106330041,
        [X86_FEATURE_VMX_VMFUNC] = 0x1,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { .model_id = "Intel Atom Processor (Snowridge, no MPX)",
          .changes = "mpx=off" },
        { .changes = "vmx-xsaves=on,xsaves=on" },
        { .changes = "core-capability=off,split-lock-detect=off" },
        { NULL },
    },
};
MODEL_TYPE_ANY(snowridge_type, "Snowridge", snowridge);
MODEL_TYPE(snowridge_v1_type, "Snowridge-v1", snowridge, 1, "Intel Atom Processor (SnowRidge)");
MODEL_TYPE(snowridge_v2_type, "Snowridge-v2", snowridge, 2,
           "Intel Atom Processor (Snowridge, no MPX)");
MODEL_TYPE(snowridge_v3_type, "Snowridge-v3", snowridge, 3,
           "Intel Atom Processor (Snowridge, no MPX) [XSAVES, no MPX]");
MODEL_TYPE(snowridge_v4_type, "Snowridge-v4", snowridge, 4,
           "Intel Atom Processor (Snowridge, no MPX) [no split lock detect, no core-capability]");

static const X86CpuModel knightsmill = {
    .name = "KnightsMill", .vendor = "GenuineIntel", .family = 6, .model = 133, .stepping = 0,
    .level = 0xd, .xlevel = 0x80000008,
    .model_id = "Intel Xeon Phi Processor (Knights Mill)",
    .features = {
        [X86_FEATURE_1_EDX] = 0xf8bfbff, [X86_FEATURE_1_ECX] = 0xf7f83203,
        [X86_FEATURE_7_0_EBX] = 0x1c0d03a9, [X86_FEATURE_7_0_ECX] = 0x4000,
        [X86_FEATURE_7_0_EDX] = 0xc, [X86_FEATURE_80000001_EDX] = 0x2c100800,
        [X86_FEATURE_80000001_ECX] = 0x121, [X86_FEATURE_D_1_EAX] = 0x1,
        [X86_FEATURE_6_EAX] = 0x4,
    },
    .versions = (const X86CpuModelVersion[]){
        { .changes = "" },
        { NULL },
    },
};
MODEL_TYPE_ANY(knightsmill_type, "KnightsMill", knightsmill);
MODEL_TYPE(knightsmill_v1_type, "KnightsMill-v1", knightsmill, 1,
           "Intel Xeon Phi Processor (Knights Mill)");
