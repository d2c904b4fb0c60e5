DefinitionBlock ("", "DSDT", 2, "NEMU  ", "NEMUVIRT", 0x00000001)
{
    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08") /* PCI Express Bus */)  // _HID: Hardware ID
            Name (_CID, EisaId ("PNP0A03") /* PCI Bus */)  // _CID: Compatible ID
            Name (_SEG, Zero)  // _SEG: PCI Segment
            Name (_BBN, Zero)  // _BBN: BIOS Bus Number
            Name (_UID, Zero)  // _UID: Unique ID
            Name (_CRS, ResourceTemplate ()  // _CRS: Current Resource Settings
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0x0000,             // Granularity
                    0x0000,             // Range Minimum
                    0x00FF,             // Range Maximum
                    0x0000,             // Translation Offset
                    0x0100,             // Length
                    ,, )
                IO (Decode16,
                    0x0CF8,             // Range Minimum
                    0x0CF8,             // Range Maximum
                    0x01,               // Alignment
                    0x08,               // Length
                    )
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000,             // Granularity
                    0x1000,             // Range Minimum
                    0xADFF,             // Range Maximum
                    0x0000,             // Translation Offset
                    0x9E00,             // Length
                    ,, , TypeStatic, DenseTranslation)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000,             // Granularity
                    0xB100,             // Range Minimum
                    0xFFFF,             // Range Maximum
                    0x0000,             // Translation Offset
                    0x4F00,             // Length
                    ,, , TypeStatic, DenseTranslation)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0x00000000,         // Granularity
                    0x90000000,         // Range Minimum
                    0xFEBFFFFF,         // Range Maximum
                    0x00000000,         // Translation Offset
                    0x6EC00000,         // Length
                    ,, , AddressRangeMemory, TypeStatic)
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Prefetchable, ReadWrite,
                    0x0000000000000000, // Granularity
                    0x0000000100000000, // Range Minimum
                    0x000000FFFFFFFFFF, // Range Maximum
                    0x0000000000000000, // Translation Offset
                    0x000000FF00000000, // Length
                    ,, , AddressRangeMemory, TypeStatic)
            })
            Name (_PRT, Package (0x80)  // _PRT: PCI Routing Table
            {
                Package (0x04)
                {
                    0xFFFF,
                    Zero,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0xFFFF,
                    One,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0xFFFF,
                    0x02,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0xFFFF,
                    0x03,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0001FFFF,
                    Zero,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0001FFFF,
                    One,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0001FFFF,
                    0x02,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0001FFFF,
                    0x03,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0002FFFF,
                    Zero,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0002FFFF,
                    One,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0002FFFF,
                    0x02,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0002FFFF,
                    0x03,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0003FFFF,
                    Zero,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0003FFFF,
                    One,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0003FFFF,
                    0x02,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0003FFFF,
                    0x03,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0004FFFF,
                    Zero,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0004FFFF,
                    One,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0004FFFF,
                    0x02,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0004FFFF,
                    0x03,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0005FFFF,
                    Zero,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0005FFFF,
                    One,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0005FFFF,
                    0x02,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0005FFFF,
                    0x03,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0006FFFF,
                    Zero,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0006FFFF,
                    One,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0006FFFF,
                    0x02,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0006FFFF,
                    0x03,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0007FFFF,
                    Zero,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0007FFFF,
                    One,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0007FFFF,
                    0x02,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0007FFFF,
                    0x03,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0008FFFF,
                    Zero,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0008FFFF,
                    One,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0008FFFF,
                    0x02,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0008FFFF,
                    0x03,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0009FFFF,
                    Zero,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0009FFFF,
                    One,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0009FFFF,
                    0x02,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0009FFFF,
                    0x03,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x000AFFFF,
                    Zero,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x000AFFFF,
                    One,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x000AFFFF,
                    0x02,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x000AFFFF,
                    0x03,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x000BFFFF,
                    Zero,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x000BFFFF,
                    One,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x000BFFFF,
                    0x02,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x000BFFFF,
                    0x03,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x000CFFFF,
                    Zero,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x000CFFFF,
                    One,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x000CFFFF,
                    0x02,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x000CFFFF,
                    0x03,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x000DFFFF,
                    Zero,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x000DFFFF,
                    One,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x000DFFFF,
                    0x02,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x000DFFFF,
                    0x03,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x000EFFFF,
                    Zero,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x000EFFFF,
                    One,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x000EFFFF,
                    0x02,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x000EFFFF,
                    0x03,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x000FFFFF,
                    Zero,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x000FFFFF,
                    One,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x000FFFFF,
                    0x02,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x000FFFFF,
                    0x03,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0010FFFF,
                    Zero,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0010FFFF,
                    One,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0010FFFF,
                    0x02,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0010FFFF,
                    0x03,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0011FFFF,
                    Zero,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0011FFFF,
                    One,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0011FFFF,
                    0x02,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0011FFFF,
                    0x03,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0012FFFF,
                    Zero,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0012FFFF,
                    One,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0012FFFF,
                    0x02,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0012FFFF,
                    0x03,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0013FFFF,
                    Zero,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0013FFFF,
                    One,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0013FFFF,
                    0x02,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0013FFFF,
                    0x03,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0014FFFF,
                    Zero,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0014FFFF,
                    One,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0014FFFF,
                    0x02,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0014FFFF,
                    0x03,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0015FFFF,
                    Zero,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0015FFFF,
                    One,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0015FFFF,
                    0x02,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0015FFFF,
                    0x03,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0016FFFF,
                    Zero,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0016FFFF,
                    One,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0016FFFF,
                    0x02,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0016FFFF,
                    0x03,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0017FFFF,
                    Zero,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0017FFFF,
                    One,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0017FFFF,
                    0x02,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0017FFFF,
                    0x03,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0018FFFF,
                    Zero,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x0018FFFF,
                    One,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0018FFFF,
                    0x02,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0018FFFF,
                    0x03,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0019FFFF,
                    Zero,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x0019FFFF,
                    One,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x0019FFFF,
                    0x02,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x0019FFFF,
                    0x03,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x001AFFFF,
                    Zero,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x001AFFFF,
                    One,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x001AFFFF,
                    0x02,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x001AFFFF,
                    0x03,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x001BFFFF,
                    Zero,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x001BFFFF,
                    One,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x001BFFFF,
                    0x02,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x001BFFFF,
                    0x03,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x001CFFFF,
                    Zero,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x001CFFFF,
                    One,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x001CFFFF,
                    0x02,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x001CFFFF,
                    0x03,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x001DFFFF,
                    Zero,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x001DFFFF,
                    One,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x001DFFFF,
                    0x02,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x001DFFFF,
                    0x03,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x001EFFFF,
                    Zero,
                    Zero,
                    0x16
                },

                Package (0x04)
                {
                    0x001EFFFF,
                    One,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x001EFFFF,
                    0x02,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x001EFFFF,
                    0x03,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x001FFFFF,
                    Zero,
                    Zero,
                    0x17
                },

                Package (0x04)
                {
                    0x001FFFFF,
                    One,
                    Zero,
                    0x14
                },

                Package (0x04)
                {
                    0x001FFFFF,
                    0x02,
                    Zero,
                    0x15
                },

                Package (0x04)
                {
                    0x001FFFFF,
                    0x03,
                    Zero,
                    0x16
                }
            })
            Method (_OSC, 4, NotSerialized)  // _OSC: Operating System Capabilities
            {
                CreateDWordField (Arg3, Zero, CDW1)
                If ((Arg0 == ToUUID ("33db4d5b-1ff7-401c-9657-7441c03dd766") /* PCI Host Bridge Device */))
                {
                    CreateDWordField (Arg3, 0x08, CDW3)
                    Local0 = (CDW3 & 0x1D)
                    If ((Arg1 != One))
                    {
                        CDW1 |= 0x08
                    }

                    If ((CDW3 != Local0))
                    {
                        CDW1 |= 0x10
                    }

                    CDW3 = Local0
                }
                Else
                {
                    CDW1 |= 0x04
                }

                Return (Arg3)
            }
        }

        Device (MRES)
        {
            Name (_HID, EisaId ("PNP0C02") /* PNP Motherboard Resources */)  // _HID: Hardware ID
            Name (_UID, Zero)  // _UID: Unique ID
            Name (_CRS, ResourceTemplate ()  // _CRS: Current Resource Settings
            {
                Memory32Fixed (ReadOnly,
                    0x80000000,         // Address Base
                    0x10000000,         // Address Length
                    )
            })
        }

        Device (FWCF)
        {
            Name (_HID, "QEMU0002")  // _HID: Hardware ID
            Name (_STA, 0x0B)  // _STA: Status
            Name (_CRS, ResourceTemplate ()  // _CRS: Current Resource Settings
            {
                IO (Decode16,
                    0x0510,             // Range Minimum
                    0x0510,             // Range Maximum
                    0x01,               // Alignment
                    0x0C,               // Length
                    )
            })
        }
    }

    Name (VGIA, 0x7E030000)
    Scope (\_SB)
    {
        Device (VGEN)
        {
            Name (_HID, "NEMU0001")  // _HID: Hardware ID
            Name (_CID, "VM_Gen_Counter")  // _CID: Compatible ID
            Name (_DDN, "VM_Gen_Counter")  // _DDN: DOS Device Name
            Method (_STA, 0, NotSerialized)  // _STA: Status
            {
                If ((VGIA == Zero))
                {
                    Return (Zero)
                }

                Return (0x0F)
            }

            Method (ADDR, 0, NotSerialized)
            {
                Local0 = Package (0x02)
                    {
                        Zero,
                        Zero
                    }
                Local0 [Zero] = (VGIA + 0x28)
                Return (Local0)
            }
        }
    }

    Scope (\_SB)
    {
        Device (PWRB)
        {
            Name (_HID, EisaId ("PNP0C0C") /* Power Button Device */)  // _HID: Hardware ID
            Name (_UID, Zero)  // _UID: Unique ID
        }

        Device (GED)
        {
            Name (_HID, "ACPI0013" /* Generic Event Device */)  // _HID: Hardware ID
            Name (_UID, Zero)  // _UID: Unique ID
            Name (_CRS, ResourceTemplate ()  // _CRS: Current Resource Settings
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive, ,, )
                {
                    0x00000010,
                }
            })
            OperationRegion (EREG, SystemIO, 0xB000, 0x04)
            Field (EREG, DWordAcc, NoLock, Preserve)
            {
                ESEL,   32
            }

            Method (_EVT, 1, Serialized)  // _EVT: Event
            {
                Local0 = ESEL /* \_SB_.GED_.ESEL */
                If ((Local0 & 0x10))
                {
                    Notify (\_SB.PWRB, 0x80) // Status Change
                }

                If ((Local0 & 0x20))
                {
                    Notify (\_SB.VGEN, 0x80) // Status Change
                }
            }
        }
    }

    Name (\_S5, Package (0x04)  // _S5_: S5 System State
    {
        0x05,
        0x05,
        Zero,
        Zero
    })
}
