/* Newer calls and flags than those in sample.h, declared as in the headers that have them. */
#ifndef NEWER_H
#define NEWER_H

#include "sample.h"

#define POOL_FLAG_USE_QUOTA 0x0000000000000001ULL
#define POOL_FLAG_CACHE_ALIGNED 0x0000000000000008ULL
#define POOL_FLAG_RAISE_ON_FAILURE 0x0000000000000020ULL

/* ExAllocatePool3 takes any number of these. */
typedef enum POOL_EXTENDED_PARAMETER_TYPE {
    PoolExtendedParameterInvalidType,
    PoolExtendedParameterPriority,
    PoolExtendedParameterSecurePool,
    PoolExtendedParameterNumaNode,
} POOL_EXTENDED_PARAMETER_TYPE;

typedef struct _POOL_EXTENDED_PARAMETER {
    struct {
        ULONG64 Type : 8;
        ULONG64 Optional : 1;
        ULONG64 Reserved : 55;
    };
    union {
        ULONG64 Reserved2;
        PVOID Reserved3;
        EX_POOL_PRIORITY Priority;
        ULONG PreferredNode;
    };
} POOL_EXTENDED_PARAMETER, *PPOOL_EXTENDED_PARAMETER;
C_ASSERT(sizeof(POOL_EXTENDED_PARAMETER) == 16);

__declspec(dllimport) PVOID NTAPI ExAllocatePool3(ULONG64 Flags, SIZE_T NumberOfBytes, ULONG Tag,
                                                  const POOL_EXTENDED_PARAMETER *ExtendedParameters,
                                                  ULONG ExtendedParametersCount);

/* Inline functions in the headers that have them. */
#define POOL_ZERO_ALLOCATION 1024
#define ExAllocatePoolZero(PoolType, NumberOfBytes, Tag) \
    ExAllocatePoolWithTag((POOL_TYPE)((PoolType) | POOL_ZERO_ALLOCATION), NumberOfBytes, Tag)
#define ExAllocatePoolUninitialized(PoolType, NumberOfBytes, Tag) ExAllocatePoolWithTag(PoolType, NumberOfBytes, Tag)

__declspec(dllimport) PVOID NTAPI MmAllocateContiguousNodeMemory(SIZE_T NumberOfBytes,
                                                                 PHYSICAL_ADDRESS LowestAcceptableAddress,
                                                                 PHYSICAL_ADDRESS HighestAcceptableAddress,
                                                                 PHYSICAL_ADDRESS BoundaryAddressMultiple, ULONG Protect,
                                                                 ULONG PreferredNode);

__declspec(dllimport) PVOID NTAPI MmMapIoSpaceEx(PHYSICAL_ADDRESS PhysicalAddress, SIZE_T NumberOfBytes, ULONG Protect);

#endif
