[000h 0000   4]                    Signature : "SRAT"    [System Resource Affinity Table]
[004h 0004   4]                 Table Length : 000000A4
[008h 0008   1]                     Revision : 03
[009h 0009   1]                     Checksum : EF
[00Ah 0010   6]                       Oem ID : "NEMU  "
[010h 0016   8]                 Oem Table ID : "NEMUVIRT"
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "NEMU"
[020h 0032   4]        Asl Compiler Revision : 00000001

[024h 0036   4]               Table Revision : 00000001
[028h 0040   8]                     Reserved : 0000000000000000

[030h 0048   1]                Subtable Type : 03 [GICC Affinity]
[031h 0049   1]                       Length : 12

[032h 0050   4]             Proximity Domain : 00000000
[036h 0054   4]           Acpi Processor UID : 00000000
[03Ah 0058   4]        Flags (decoded below) : 00000001
                                     Enabled : 1
[03Eh 0062   4]                 Clock Domain : 00000000

[042h 0066   1]                Subtable Type : 03 [GICC Affinity]
[043h 0067   1]                       Length : 12

[044h 0068   4]             Proximity Domain : 00000001
[048h 0072   4]           Acpi Processor UID : 00000001
[04Ch 0076   4]        Flags (decoded below) : 00000001
                                     Enabled : 1
[050h 0080   4]                 Clock Domain : 00000000

[054h 0084   1]                Subtable Type : 01 [Memory Affinity]
[055h 0085   1]                       Length : 28

[056h 0086   4]             Proximity Domain : 00000000
[05Ah 0090   2]                    Reserved1 : 0000
[05Ch 0092   8]                 Base Address : 0000000040000000
[064h 0100   8]               Address Length : 0000000002000000
[06Ch 0108   4]                    Reserved2 : 00000000
[070h 0112   4]        Flags (decoded below) : 00000001
                                     Enabled : 1
                               Hot Pluggable : 0
                                Non-Volatile : 0
[074h 0116   8]                    Reserved3 : 0000000000000000

[07Ch 0124   1]                Subtable Type : 01 [Memory Affinity]
[07Dh 0125   1]                       Length : 28

[07Eh 0126   4]             Proximity Domain : 00000001
[082h 0130   2]                    Reserved1 : 0000
[084h 0132   8]                 Base Address : 0000000042000000
[08Ch 0140   8]               Address Length : 0000000002000000
[094h 0148   4]                    Reserved2 : 00000000
[098h 0152   4]        Flags (decoded below) : 00000001
                                     Enabled : 1
                               Hot Pluggable : 0
                                Non-Volatile : 0
[09Ch 0156   8]                    Reserved3 : 0000000000000000
