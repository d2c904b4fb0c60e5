[000h 0000   4]                    Signature : "HMAT"    [Heterogeneous Memory Attributes Table]
[004h 0004   4]                 Table Length : 00000108
[008h 0008   1]                     Revision : 02
[009h 0009   1]                     Checksum : 01
[00Ah 0010   6]                       Oem ID : "NEMU  "
[010h 0016   8]                 Oem Table ID : "NEMUVIRT"
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "NEMU"
[020h 0032   4]        Asl Compiler Revision : 00000001

[024h 0036   4]                     Reserved : 00000000

[028h 0040   2]               Structure Type : 0000 [Memory Proximity Domain Attributes]
[02Ah 0042   2]                     Reserved : 0000
[02Ch 0044   4]                       Length : 00000028
[030h 0048   2]        Flags (decoded below) : 0001
            Processor Proximity Domain Valid : 1
[032h 0050   2]                    Reserved1 : 0000
[034h 0052   4] Attached Initiator Proximity Domain : 00000000
[038h 0056   4]      Memory Proximity Domain : 00000000
[03Ch 0060   4]                    Reserved2 : 00000000
[040h 0064   8]                    Reserved3 : 0000000000000000
[048h 0072   8]                    Reserved4 : 0000000000000000

[050h 0080   2]               Structure Type : 0000 [Memory Proximity Domain Attributes]
[052h 0082   2]                     Reserved : 0000
[054h 0084   4]                       Length : 00000028
[058h 0088   2]        Flags (decoded below) : 0001
            Processor Proximity Domain Valid : 1
[05Ah 0090   2]                    Reserved1 : 0000
[05Ch 0092   4] Attached Initiator Proximity Domain : 00000001
[060h 0096   4]      Memory Proximity Domain : 00000001
[064h 0100   4]                    Reserved2 : 00000000
[068h 0104   8]                    Reserved3 : 0000000000000000
[070h 0112   8]                    Reserved4 : 0000000000000000

[078h 0120   2]               Structure Type : 0001 [System Locality Latency and Bandwidth Information]
[07Ah 0122   2]                     Reserved : 0000
[07Ch 0124   4]                       Length : 00000038
[080h 0128   1]        Flags (decoded below) : 00
                            Memory Hierarchy : 0
[081h 0129   1]                    Data Type : 00
[082h 0130   2]                    Reserved1 : 0000
[084h 0132   4] Initiator Proximity Domains # : 00000002
[088h 0136   4]   Target Proximity Domains # : 00000002
[08Ch 0140   4]                    Reserved2 : 00000000
[090h 0144   8]              Entry Base Unit : 00000000000003E8
[098h 0152   4] Initiator Proximity Domain List : 00000000
[09Ch 0156   4] Initiator Proximity Domain List : 00000001
[0A0h 0160   4] Target Proximity Domain List : 00000000
[0A4h 0164   4] Target Proximity Domain List : 00000001
[0A8h 0168   2]                        Entry : 0005
[0AAh 0170   2]                        Entry : 0046
[0ACh 0172   2]                        Entry : 0000
[0AEh 0174   2]                        Entry : 0000

[0B0h 0176   2]               Structure Type : 0001 [System Locality Latency and Bandwidth Information]
[0B2h 0178   2]                     Reserved : 0000
[0B4h 0180   4]                       Length : 00000038
[0B8h 0184   1]        Flags (decoded below) : 00
                            Memory Hierarchy : 0
[0B9h 0185   1]                    Data Type : 03
[0BAh 0186   2]                    Reserved1 : 0000
[0BCh 0188   4] Initiator Proximity Domains # : 00000002
[0C0h 0192   4]   Target Proximity Domains # : 00000002
[0C4h 0196   4]                    Reserved2 : 00000000
[0C8h 0200   8]              Entry Base Unit : 0000000000000400
[0D0h 0208   4] Initiator Proximity Domain List : 00000000
[0D4h 0212   4] Initiator Proximity Domain List : 00000001
[0D8h 0216   4] Target Proximity Domain List : 00000000
[0DCh 0220   4] Target Proximity Domain List : 00000001
[0E0h 0224   2]                        Entry : 0001
[0E2h 0226   2]                        Entry : 0000
[0E4h 0228   2]                        Entry : 0000
[0E6h 0230   2]                        Entry : 0000

[0E8h 0232   2]               Structure Type : 0002 [Memory Side Cache Information]
[0EAh 0234   2]                     Reserved : 0000
[0ECh 0236   4]                       Length : 00000020
[0F0h 0240   4]      Memory Proximity Domain : 00000000
[0F4h 0244   4]                    Reserved1 : 00000000
[0F8h 0248   8]       Memory Side Cache Size : 0000000000100000
[100h 0256   4] Cache Attributes (decoded below) : 00401111
                          Total Cache Levels : 1
                                 Cache Level : 1
                         Cache Associativity : 1
                                Write Policy : 1
                             Cache Line Size : 0040
[104h 0260   2]                    Reserved2 : 0000
[106h 0262   2]              SMBIOS Handle # : 0000
