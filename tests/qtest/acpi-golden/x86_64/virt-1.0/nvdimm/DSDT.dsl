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
                    0x0000000200000000, // Range Minimum
                    0x00000009FFFFFFFF, // Range Maximum
                    0x0000000000000000, // Translation Offset
                    0x0000000800000000, // Length
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
                Memory32Fixed (ReadWrite,
                    0xFEC10000,         // Address Base
                    0x00010000,         // Address Length
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

    Device (\_SB.MHPC)
    {
        Name (_HID, EisaId ("PNP0A06") /* Generic Container Device */)  // _HID: Hardware ID
        Name (_UID, "Memory slots")  // _UID: Unique ID
        Mutex (MLCK, 0x00)
        OperationRegion (MREG, SystemIO, 0x0A00, 0x18)
        Field (MREG, DWordAcc, NoLock, Preserve)
        {
            MRBL,   32,
            MRBH,   32,
            MRLL,   32,
            MRLH,   32,
            MNOD,   32
        }

        Field (MREG, DWordAcc, NoLock, Preserve)
        {
            MSEL,   32,
            MOEV,   32,
            MOSC,   32
        }

        Field (MREG, ByteAcc, NoLock, Preserve)
        {
            Offset (0x14),
            MFLG,   8
        }

        Method (MSTA, 1, Serialized)
        {
            Acquire (MLCK, 0xFFFF)
            MSEL = Arg0
            Local0 = Zero
            Local1 = MFLG /* \_SB_.MHPC.MFLG */
            If ((Local1 & One))
            {
                Local0 = 0x0F
            }

            Release (MLCK)
            Return (Local0)
        }

        Method (MCRS, 1, Serialized)
        {
            Name (MR64, ResourceTemplate ()
            {
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Prefetchable, ReadWrite,
                    0x0000000000000000, // Granularity
                    0x0000000000000000, // Range Minimum
                    0x0000000000000000, // Range Maximum
                    0x0000000000000000, // Translation Offset
                    0x0000000000000001, // Length
                    ,, _Y00, AddressRangeMemory, TypeStatic)
            })
            CreateQWordField (MR64, \_SB.MHPC.MCRS._Y00._MIN, MINA)  // _MIN: Minimum Base Address
            CreateQWordField (MR64, \_SB.MHPC.MCRS._Y00._MAX, MAXA)  // _MAX: Maximum Base Address
            CreateQWordField (MR64, \_SB.MHPC.MCRS._Y00._LEN, LENA)  // _LEN: Length
            Acquire (MLCK, 0xFFFF)
            MSEL = Arg0
            MINA = ((MRBH << 0x20) | MRBL) /* \_SB_.MHPC.MRBL */
            LENA = ((MRLH << 0x20) | MRLL) /* \_SB_.MHPC.MRLL */
            Release (MLCK)
            MAXA = ((MINA + LENA) - One)
            Return (MR64) /* \_SB_.MHPC.MCRS.MR64 */
        }

        Method (MPXM, 1, Serialized)
        {
            Acquire (MLCK, 0xFFFF)
            MSEL = Arg0
            Local0 = MNOD /* \_SB_.MHPC.MNOD */
            Release (MLCK)
            Return (Local0)
        }

        Method (MEJ0, 1, Serialized)
        {
            Acquire (MLCK, 0xFFFF)
            MSEL = Arg0
            MFLG = 0x08
            Release (MLCK)
        }

        Method (MOST, 3, Serialized)
        {
            Acquire (MLCK, 0xFFFF)
            MSEL = Arg0
            MOEV = Arg1
            MOSC = Arg2
            Release (MLCK)
        }

        Method (MTFY, 2, NotSerialized)
        {
            If ((Arg0 == Zero))
            {
                Notify (MP00, Arg1)
            }

            If ((Arg0 == One))
            {
                Notify (MP01, Arg1)
            }
        }

        Method (MSCN, 0, Serialized)
        {
            Acquire (MLCK, 0xFFFF)
            Local0 = Zero
            While ((Local0 < 0x02))
            {
                MSEL = Local0
                Local1 = MFLG /* \_SB_.MHPC.MFLG */
                If ((Local1 & 0x02))
                {
                    MTFY (Local0, One)
                    MFLG = 0x02
                }

                If ((Local1 & 0x04))
                {
                    MTFY (Local0, 0x03)
                    MFLG = 0x04
                }

                Local0++
            }

            Release (MLCK)
        }

        Device (MP00)
        {
            Name (_HID, EisaId ("PNP0C80") /* Memory Device */)  // _HID: Hardware ID
            Name (_UID, Zero)  // _UID: Unique ID
            Method (_STA, 0, NotSerialized)  // _STA: Status
            {
                Return (MSTA (Zero))
            }

            Method (_CRS, 0, Serialized)  // _CRS: Current Resource Settings
            {
                Return (MCRS (Zero))
            }

            Method (_PXM, 0, NotSerialized)  // _PXM: Device Proximity
            {
                Return (MPXM (Zero))
            }

            Method (_EJ0, 1, NotSerialized)  // _EJx: Eject Device, x=0-9
            {
                MEJ0 (Zero)
            }

            Method (_OST, 3, NotSerialized)  // _OST: OSPM Status Indication
            {
                MOST (Zero, Arg0, Arg1)
            }
        }

        Device (MP01)
        {
            Name (_HID, EisaId ("PNP0C80") /* Memory Device */)  // _HID: Hardware ID
            Name (_UID, One)  // _UID: Unique ID
            Method (_STA, 0, NotSerialized)  // _STA: Status
            {
                Return (MSTA (One))
            }

            Method (_CRS, 0, Serialized)  // _CRS: Current Resource Settings
            {
                Return (MCRS (One))
            }

            Method (_PXM, 0, NotSerialized)  // _PXM: Device Proximity
            {
                Return (MPXM (One))
            }

            Method (_EJ0, 1, NotSerialized)  // _EJx: Eject Device, x=0-9
            {
                MEJ0 (One)
            }

            Method (_OST, 3, NotSerialized)  // _OST: OSPM Status Indication
            {
                MOST (One, Arg0, Arg1)
            }
        }
    }

    Device (\_SB.NVDR)
    {
        Name (_HID, "ACPI0012" /* NVDIMM Root Device */)  // _HID: Hardware ID
        OperationRegion (NPAG, SystemMemory, 0xFEC10000, 0x1000)
        Field (NPAG, DWordAcc, NoLock, Preserve)
        {
            HDLE,   32,
            REVS,   32,
            FUNC,   32,
            FARG,   32672
        }

        Field (NPAG, DWordAcc, NoLock, Preserve)
        {
            RLEN,   32,
            ODAT,   32736
        }

        OperationRegion (NBEL, SystemIO, 0x0A18, 0x04)
        Field (NBEL, DWordAcc, NoLock, Preserve)
        {
            NDBL,   32
        }

        Name (NUID, ToUUID ("4309ac30-0d11-11e4-9191-0800200c9a66") /* Unknown UUID */)
        Method (NCAL, 4, Serialized)
        {
            HDLE = Arg0
            REVS = Arg1
            FUNC = Arg2
            FARG = Arg3
            NDBL = Zero
            Local0 = ODAT /* \_SB_.NVDR.ODAT */
            Return (Mid (Local0, Zero, RLEN))
        }

        Method (NDSM, 5, Serialized)
        {
            Local0 = Buffer (One)
                {
                     0x00                                             // .
                }
            If (((ObjectType (Arg3) == 0x04) && (SizeOf (Arg3) == One)))
            {
                Local0 = DerefOf (Arg3 [Zero])
            }

            If ((Arg0 == NUID))
            {
                Return (NCAL (Arg4, Arg1, Arg2, Local0))
            }

            Return (Buffer (One)
            {
                 0x00                                             // .
            })
        }

        Method (_FIT, 0, Serialized)  // _FIT: Firmware Interface Table
        {
            Local1 = Buffer (Zero) {}
            Local2 = Zero
            While (One)
            {
                Local0 = NCAL (0x00010000, One, One, Local2)
                If ((SizeOf (Local0) < 0x05))
                {
                    Return (Local1)
                }

                Local3 = (SizeOf (Local0) - 0x04)
                Concatenate (Local1, Mid (Local0, 0x04, Local3), Local1)
                Local2 += Local3
            }

            Return (Local1)
        }

        Method (_DSM, 4, Serialized)  // _DSM: Device-Specific Method
        {
            If ((Arg0 == ToUUID ("2f10e7a4-9e91-11e4-89d3-123b93f75cba") /* NVDIMM Root Device */))
            {
                Return (NCAL (Zero, Arg1, Arg2, Zero))
            }

            Return (Buffer (One)
            {
                 0x00                                             // .
            })
        }

        Device (NV00)
        {
            Name (_ADR, One)  // _ADR: Address
            Method (_DSM, 4, Serialized)  // _DSM: Device-Specific Method
            {
                Return (NDSM (Arg0, Arg1, Arg2, Arg3, One))
            }
        }

        Device (NV01)
        {
            Name (_ADR, 0x02)  // _ADR: Address
            Method (_DSM, 4, Serialized)  // _DSM: Device-Specific Method
            {
                Return (NDSM (Arg0, Arg1, Arg2, Arg3, 0x02))
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
                If ((Local0 & 0x02))
                {
                    \_SB.MHPC.MSCN ()
                }

                If ((Local0 & 0x04))
                {
                    Notify (\_SB.NVDR, 0x80) // Status Change
                }

                If ((Local0 & 0x10))
                {
                    Notify (\_SB.PWRB, 0x80) // Status Change
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
