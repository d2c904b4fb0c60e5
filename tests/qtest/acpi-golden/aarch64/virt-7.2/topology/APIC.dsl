[000h 0000   4]                    Signature : "APIC"    [Multiple APIC Description Table (MADT)]
[004h 0004   4]                 Table Length : 000002D4
[008h 0008   1]                     Revision : 05
[009h 0009   1]                     Checksum : A1
[00Ah 0010   6]                       Oem ID : "NEMU  "
[010h 0016   8]                 Oem Table ID : "NEMUVIRT"
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "NEMU"
[020h 0032   4]        Asl Compiler Revision : 00000001

[024h 0036   4]           Local Apic Address : 00000000
[028h 0040   4]        Flags (decoded below) : 00000000
                         PC-AT Compatibility : 0

[02Ch 0044   1]                Subtable Type : 0C [Generic Interrupt Distributor]
[02Dh 0045   1]                       Length : 18
[02Eh 0046   2]                     Reserved : 0000
[030h 0048   4]        Local GIC Hardware ID : 00000000
[034h 0052   8]                 Base Address : 0000000008000000
[03Ch 0060   4]               Interrupt Base : 00000000
[040h 0064   1]                      Version : 03
[041h 0065   3]                     Reserved : 000000

[044h 0068   1]                Subtable Type : 0B [Generic Interrupt Controller]
[045h 0069   1]                       Length : 50
[046h 0070   2]                     Reserved : 0000
[048h 0072   4]         CPU Interface Number : 00000000
[04Ch 0076   4]                Processor UID : 00000000
[050h 0080   4]        Flags (decoded below) : 00000001
                           Processor Enabled : 1
          Performance Interrupt Trigger Mode : 0
          Virtual GIC Interrupt Trigger Mode : 0
[054h 0084   4]     Parking Protocol Version : 00000000
[058h 0088   4]        Performance Interrupt : 00000017
[05Ch 0092   8]               Parked Address : 0000000000000000
[064h 0100   8]                 Base Address : 0000000000000000
[06Ch 0108   8]     Virtual GIC Base Address : 0000000000000000
[074h 0116   8]  Hypervisor GIC Base Address : 0000000000000000
[07Ch 0124   4]        Virtual GIC Interrupt : 00000000
[080h 0128   8]   Redistributor Base Address : 0000000000000000
[088h 0136   8]                    ARM MPIDR : 0000000000000000
[090h 0144   1]             Efficiency Class : 00
[091h 0145   1]                     Reserved : 00
[092h 0146   2]       SPE Overflow Interrupt : 0000

[094h 0148   1]                Subtable Type : 0B [Generic Interrupt Controller]
[095h 0149   1]                       Length : 50
[096h 0150   2]                     Reserved : 0000
[098h 0152   4]         CPU Interface Number : 00000001
[09Ch 0156   4]                Processor UID : 00000001
[0A0h 0160   4]        Flags (decoded below) : 00000001
                           Processor Enabled : 1
          Performance Interrupt Trigger Mode : 0
          Virtual GIC Interrupt Trigger Mode : 0
[0A4h 0164   4]     Parking Protocol Version : 00000000
[0A8h 0168   4]        Performance Interrupt : 00000017
[0ACh 0172   8]               Parked Address : 0000000000000000
[0B4h 0180   8]                 Base Address : 0000000000000000
[0BCh 0188   8]     Virtual GIC Base Address : 0000000000000000
[0C4h 0196   8]  Hypervisor GIC Base Address : 0000000000000000
[0CCh 0204   4]        Virtual GIC Interrupt : 00000000
[0D0h 0208   8]   Redistributor Base Address : 0000000000000000
[0D8h 0216   8]                    ARM MPIDR : 0000000000000001
[0E0h 0224   1]             Efficiency Class : 00
[0E1h 0225   1]                     Reserved : 00
[0E2h 0226   2]       SPE Overflow Interrupt : 0000

[0E4h 0228   1]                Subtable Type : 0B [Generic Interrupt Controller]
[0E5h 0229   1]                       Length : 50
[0E6h 0230   2]                     Reserved : 0000
[0E8h 0232   4]         CPU Interface Number : 00000002
[0ECh 0236   4]                Processor UID : 00000002
[0F0h 0240   4]        Flags (decoded below) : 00000001
                           Processor Enabled : 1
          Performance Interrupt Trigger Mode : 0
          Virtual GIC Interrupt Trigger Mode : 0
[0F4h 0244   4]     Parking Protocol Version : 00000000
[0F8h 0248   4]        Performance Interrupt : 00000017
[0FCh 0252   8]               Parked Address : 0000000000000000
[104h 0260   8]                 Base Address : 0000000000000000
[10Ch 0268   8]     Virtual GIC Base Address : 0000000000000000
[114h 0276   8]  Hypervisor GIC Base Address : 0000000000000000
[11Ch 0284   4]        Virtual GIC Interrupt : 00000000
[120h 0288   8]   Redistributor Base Address : 0000000000000000
[128h 0296   8]                    ARM MPIDR : 0000000000000002
[130h 0304   1]             Efficiency Class : 00
[131h 0305   1]                     Reserved : 00
[132h 0306   2]       SPE Overflow Interrupt : 0000

[134h 0308   1]                Subtable Type : 0B [Generic Interrupt Controller]
[135h 0309   1]                       Length : 50
[136h 0310   2]                     Reserved : 0000
[138h 0312   4]         CPU Interface Number : 00000003
[13Ch 0316   4]                Processor UID : 00000003
[140h 0320   4]        Flags (decoded below) : 00000001
                           Processor Enabled : 1
          Performance Interrupt Trigger Mode : 0
          Virtual GIC Interrupt Trigger Mode : 0
[144h 0324   4]     Parking Protocol Version : 00000000
[148h 0328   4]        Performance Interrupt : 00000017
[14Ch 0332   8]               Parked Address : 0000000000000000
[154h 0340   8]                 Base Address : 0000000000000000
[15Ch 0348   8]     Virtual GIC Base Address : 0000000000000000
[164h 0356   8]  Hypervisor GIC Base Address : 0000000000000000
[16Ch 0364   4]        Virtual GIC Interrupt : 00000000
[170h 0368   8]   Redistributor Base Address : 0000000000000000
[178h 0376   8]                    ARM MPIDR : 0000000000000003
[180h 0384   1]             Efficiency Class : 00
[181h 0385   1]                     Reserved : 00
[182h 0386   2]       SPE Overflow Interrupt : 0000

[184h 0388   1]                Subtable Type : 0B [Generic Interrupt Controller]
[185h 0389   1]                       Length : 50
[186h 0390   2]                     Reserved : 0000
[188h 0392   4]         CPU Interface Number : 00000004
[18Ch 0396   4]                Processor UID : 00000004
[190h 0400   4]        Flags (decoded below) : 00000001
                           Processor Enabled : 1
          Performance Interrupt Trigger Mode : 0
          Virtual GIC Interrupt Trigger Mode : 0
[194h 0404   4]     Parking Protocol Version : 00000000
[198h 0408   4]        Performance Interrupt : 00000017
[19Ch 0412   8]               Parked Address : 0000000000000000
[1A4h 0420   8]                 Base Address : 0000000000000000
[1ACh 0428   8]     Virtual GIC Base Address : 0000000000000000
[1B4h 0436   8]  Hypervisor GIC Base Address : 0000000000000000
[1BCh 0444   4]        Virtual GIC Interrupt : 00000000
[1C0h 0448   8]   Redistributor Base Address : 0000000000000000
[1C8h 0456   8]                    ARM MPIDR : 0000000000000004
[1D0h 0464   1]             Efficiency Class : 00
[1D1h 0465   1]                     Reserved : 00
[1D2h 0466   2]       SPE Overflow Interrupt : 0000

[1D4h 0468   1]                Subtable Type : 0B [Generic Interrupt Controller]
[1D5h 0469   1]                       Length : 50
[1D6h 0470   2]                     Reserved : 0000
[1D8h 0472   4]         CPU Interface Number : 00000005
[1DCh 0476   4]                Processor UID : 00000005
[1E0h 0480   4]        Flags (decoded below) : 00000001
                           Processor Enabled : 1
          Performance Interrupt Trigger Mode : 0
          Virtual GIC Interrupt Trigger Mode : 0
[1E4h 0484   4]     Parking Protocol Version : 00000000
[1E8h 0488   4]        Performance Interrupt : 00000017
[1ECh 0492   8]               Parked Address : 0000000000000000
[1F4h 0500   8]                 Base Address : 0000000000000000
[1FCh 0508   8]     Virtual GIC Base Address : 0000000000000000
[204h 0516   8]  Hypervisor GIC Base Address : 0000000000000000
[20Ch 0524   4]        Virtual GIC Interrupt : 00000000
[210h 0528   8]   Redistributor Base Address : 0000000000000000
[218h 0536   8]                    ARM MPIDR : 0000000000000005
[220h 0544   1]             Efficiency Class : 00
[221h 0545   1]                     Reserved : 00
[222h 0546   2]       SPE Overflow Interrupt : 0000

[224h 0548   1]                Subtable Type : 0B [Generic Interrupt Controller]
[225h 0549   1]                       Length : 50
[226h 0550   2]                     Reserved : 0000
[228h 0552   4]         CPU Interface Number : 00000006
[22Ch 0556   4]                Processor UID : 00000006
[230h 0560   4]        Flags (decoded below) : 00000001
                           Processor Enabled : 1
          Performance Interrupt Trigger Mode : 0
          Virtual GIC Interrupt Trigger Mode : 0
[234h 0564   4]     Parking Protocol Version : 00000000
[238h 0568   4]        Performance Interrupt : 00000017
[23Ch 0572   8]               Parked Address : 0000000000000000
[244h 0580   8]                 Base Address : 0000000000000000
[24Ch 0588   8]     Virtual GIC Base Address : 0000000000000000
[254h 0596   8]  Hypervisor GIC Base Address : 0000000000000000
[25Ch 0604   4]        Virtual GIC Interrupt : 00000000
[260h 0608   8]   Redistributor Base Address : 0000000000000000
[268h 0616   8]                    ARM MPIDR : 0000000000000006
[270h 0624   1]             Efficiency Class : 00
[271h 0625   1]                     Reserved : 00
[272h 0626   2]       SPE Overflow Interrupt : 0000

[274h 0628   1]                Subtable Type : 0B [Generic Interrupt Controller]
[275h 0629   1]                       Length : 50
[276h 0630   2]                     Reserved : 0000
[278h 0632   4]         CPU Interface Number : 00000007
[27Ch 0636   4]                Processor UID : 00000007
[280h 0640   4]        Flags (decoded below) : 00000001
                           Processor Enabled : 1
          Performance Interrupt Trigger Mode : 0
          Virtual GIC Interrupt Trigger Mode : 0
[284h 0644   4]     Parking Protocol Version : 00000000
[288h 0648   4]        Performance Interrupt : 00000017
[28Ch 0652   8]               Parked Address : 0000000000000000
[294h 0660   8]                 Base Address : 0000000000000000
[29Ch 0668   8]     Virtual GIC Base Address : 0000000000000000
[2A4h 0676   8]  Hypervisor GIC Base Address : 0000000000000000
[2ACh 0684   4]        Virtual GIC Interrupt : 00000000
[2B0h 0688   8]   Redistributor Base Address : 0000000000000000
[2B8h 0696   8]                    ARM MPIDR : 0000000000000007
[2C0h 0704   1]             Efficiency Class : 00
[2C1h 0705   1]                     Reserved : 00
[2C2h 0706   2]       SPE Overflow Interrupt : 0000

[2C4h 0708   1]                Subtable Type : 0E [Generic Interrupt Redistributor]
[2C5h 0709   1]                       Length : 10
[2C6h 0710   2]                     Reserved : 0000
[2C8h 0712   8]                 Base Address : 00000000080A0000
[2D0h 0720   4]                       Length : 00F60000
