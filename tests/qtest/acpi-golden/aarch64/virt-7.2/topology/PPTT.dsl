[000h 0000   4]                    Signature : "PPTT"    [Processor Properties Topology Table]
[004h 0004   4]                 Table Length : 0000018C
[008h 0008   1]                     Revision : 02
[009h 0009   1]                     Checksum : B5
[00Ah 0010   6]                       Oem ID : "NEMU  "
[010h 0016   8]                 Oem Table ID : "NEMUVIRT"
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "NEMU"
[020h 0032   4]        Asl Compiler Revision : 00000001


[024h 0036   1]                Subtable Type : 00 [Processor Hierarchy Node]
[025h 0037   1]                       Length : 14
[026h 0038   2]                     Reserved : 0000
[028h 0040   4]        Flags (decoded below) : 00000001
                            Physical package : 1
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 0
[02Ch 0044   4]                       Parent : 00000000
[030h 0048   4]            ACPI Processor ID : 00000000
[034h 0052   4]      Private Resource Number : 00000000

[038h 0056   1]                Subtable Type : 00 [Processor Hierarchy Node]
[039h 0057   1]                       Length : 14
[03Ah 0058   2]                     Reserved : 0000
[03Ch 0060   4]        Flags (decoded below) : 00000000
                            Physical package : 0
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 0
[040h 0064   4]                       Parent : 00000024
[044h 0068   4]            ACPI Processor ID : 00000000
[048h 0072   4]      Private Resource Number : 00000000

[04Ch 0076   1]                Subtable Type : 00 [Processor Hierarchy Node]
[04Dh 0077   1]                       Length : 14
[04Eh 0078   2]                     Reserved : 0000
[050h 0080   4]        Flags (decoded below) : 00000000
                            Physical package : 0
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 0
[054h 0084   4]                       Parent : 00000038
[058h 0088   4]            ACPI Processor ID : 00000000
[05Ch 0092   4]      Private Resource Number : 00000000

[060h 0096   1]                Subtable Type : 00 [Processor Hierarchy Node]
[061h 0097   1]                       Length : 14
[062h 0098   2]                     Reserved : 0000
[064h 0100   4]        Flags (decoded below) : 0000000E
                            Physical package : 0
                     ACPI Processor ID valid : 1
                       Processor is a thread : 1
                              Node is a leaf : 1
                    Identical Implementation : 0
[068h 0104   4]                       Parent : 0000004C
[06Ch 0108   4]            ACPI Processor ID : 00000000
[070h 0112   4]      Private Resource Number : 00000000

[074h 0116   1]                Subtable Type : 00 [Processor Hierarchy Node]
[075h 0117   1]                       Length : 14
[076h 0118   2]                     Reserved : 0000
[078h 0120   4]        Flags (decoded below) : 0000000E
                            Physical package : 0
                     ACPI Processor ID valid : 1
                       Processor is a thread : 1
                              Node is a leaf : 1
                    Identical Implementation : 0
[07Ch 0124   4]                       Parent : 0000004C
[080h 0128   4]            ACPI Processor ID : 00000001
[084h 0132   4]      Private Resource Number : 00000000

[088h 0136   1]                Subtable Type : 00 [Processor Hierarchy Node]
[089h 0137   1]                       Length : 14
[08Ah 0138   2]                     Reserved : 0000
[08Ch 0140   4]        Flags (decoded below) : 00000000
                            Physical package : 0
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 0
[090h 0144   4]                       Parent : 00000024
[094h 0148   4]            ACPI Processor ID : 00000001
[098h 0152   4]      Private Resource Number : 00000000

[09Ch 0156   1]                Subtable Type : 00 [Processor Hierarchy Node]
[09Dh 0157   1]                       Length : 14
[09Eh 0158   2]                     Reserved : 0000
[0A0h 0160   4]        Flags (decoded below) : 00000000
                            Physical package : 0
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 0
[0A4h 0164   4]                       Parent : 00000088
[0A8h 0168   4]            ACPI Processor ID : 00000000
[0ACh 0172   4]      Private Resource Number : 00000000

[0B0h 0176   1]                Subtable Type : 00 [Processor Hierarchy Node]
[0B1h 0177   1]                       Length : 14
[0B2h 0178   2]                     Reserved : 0000
[0B4h 0180   4]        Flags (decoded below) : 0000000E
                            Physical package : 0
                     ACPI Processor ID valid : 1
                       Processor is a thread : 1
                              Node is a leaf : 1
                    Identical Implementation : 0
[0B8h 0184   4]                       Parent : 0000009C
[0BCh 0188   4]            ACPI Processor ID : 00000002
[0C0h 0192   4]      Private Resource Number : 00000000

[0C4h 0196   1]                Subtable Type : 00 [Processor Hierarchy Node]
[0C5h 0197   1]                       Length : 14
[0C6h 0198   2]                     Reserved : 0000
[0C8h 0200   4]        Flags (decoded below) : 0000000E
                            Physical package : 0
                     ACPI Processor ID valid : 1
                       Processor is a thread : 1
                              Node is a leaf : 1
                    Identical Implementation : 0
[0CCh 0204   4]                       Parent : 0000009C
[0D0h 0208   4]            ACPI Processor ID : 00000003
[0D4h 0212   4]      Private Resource Number : 00000000

[0D8h 0216   1]                Subtable Type : 00 [Processor Hierarchy Node]
[0D9h 0217   1]                       Length : 14
[0DAh 0218   2]                     Reserved : 0000
[0DCh 0220   4]        Flags (decoded below) : 00000001
                            Physical package : 1
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 0
[0E0h 0224   4]                       Parent : 00000000
[0E4h 0228   4]            ACPI Processor ID : 00000001
[0E8h 0232   4]      Private Resource Number : 00000000

[0ECh 0236   1]                Subtable Type : 00 [Processor Hierarchy Node]
[0EDh 0237   1]                       Length : 14
[0EEh 0238   2]                     Reserved : 0000
[0F0h 0240   4]        Flags (decoded below) : 00000000
                            Physical package : 0
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 0
[0F4h 0244   4]                       Parent : 000000D8
[0F8h 0248   4]            ACPI Processor ID : 00000000
[0FCh 0252   4]      Private Resource Number : 00000000

[100h 0256   1]                Subtable Type : 00 [Processor Hierarchy Node]
[101h 0257   1]                       Length : 14
[102h 0258   2]                     Reserved : 0000
[104h 0260   4]        Flags (decoded below) : 00000000
                            Physical package : 0
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 0
[108h 0264   4]                       Parent : 000000EC
[10Ch 0268   4]            ACPI Processor ID : 00000000
[110h 0272   4]      Private Resource Number : 00000000

[114h 0276   1]                Subtable Type : 00 [Processor Hierarchy Node]
[115h 0277   1]                       Length : 14
[116h 0278   2]                     Reserved : 0000
[118h 0280   4]        Flags (decoded below) : 0000000E
                            Physical package : 0
                     ACPI Processor ID valid : 1
                       Processor is a thread : 1
                              Node is a leaf : 1
                    Identical Implementation : 0
[11Ch 0284   4]                       Parent : 00000100
[120h 0288   4]            ACPI Processor ID : 00000004
[124h 0292   4]      Private Resource Number : 00000000

[128h 0296   1]                Subtable Type : 00 [Processor Hierarchy Node]
[129h 0297   1]                       Length : 14
[12Ah 0298   2]                     Reserved : 0000
[12Ch 0300   4]        Flags (decoded below) : 0000000E
                            Physical package : 0
                     ACPI Processor ID valid : 1
                       Processor is a thread : 1
                              Node is a leaf : 1
                    Identical Implementation : 0
[130h 0304   4]                       Parent : 00000100
[134h 0308   4]            ACPI Processor ID : 00000005
[138h 0312   4]      Private Resource Number : 00000000

[13Ch 0316   1]                Subtable Type : 00 [Processor Hierarchy Node]
[13Dh 0317   1]                       Length : 14
[13Eh 0318   2]                     Reserved : 0000
[140h 0320   4]        Flags (decoded below) : 00000000
                            Physical package : 0
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 0
[144h 0324   4]                       Parent : 000000D8
[148h 0328   4]            ACPI Processor ID : 00000001
[14Ch 0332   4]      Private Resource Number : 00000000

[150h 0336   1]                Subtable Type : 00 [Processor Hierarchy Node]
[151h 0337   1]                       Length : 14
[152h 0338   2]                     Reserved : 0000
[154h 0340   4]        Flags (decoded below) : 00000000
                            Physical package : 0
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 0
[158h 0344   4]                       Parent : 0000013C
[15Ch 0348   4]            ACPI Processor ID : 00000000
[160h 0352   4]      Private Resource Number : 00000000

[164h 0356   1]                Subtable Type : 00 [Processor Hierarchy Node]
[165h 0357   1]                       Length : 14
[166h 0358   2]                     Reserved : 0000
[168h 0360   4]        Flags (decoded below) : 0000000E
                            Physical package : 0
                     ACPI Processor ID valid : 1
                       Processor is a thread : 1
                              Node is a leaf : 1
                    Identical Implementation : 0
[16Ch 0364   4]                       Parent : 00000150
[170h 0368   4]            ACPI Processor ID : 00000006
[174h 0372   4]      Private Resource Number : 00000000

[178h 0376   1]                Subtable Type : 00 [Processor Hierarchy Node]
[179h 0377   1]                       Length : 14
[17Ah 0378   2]                     Reserved : 0000
[17Ch 0380   4]        Flags (decoded below) : 0000000E
                            Physical package : 0
                     ACPI Processor ID valid : 1
                       Processor is a thread : 1
                              Node is a leaf : 1
                    Identical Implementation : 0
[180h 0384   4]                       Parent : 00000150
[184h 0388   4]            ACPI Processor ID : 00000007
[188h 0392   4]      Private Resource Number : 00000000
