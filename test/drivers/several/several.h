/* What the drivers of this folder share. */
#include <ntddk.h>

#define CODE(function) CTL_CODE(FILE_DEVICE_UNKNOWN, function, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_SUCCEED CODE(0x900)
#define IOCTL_FAIL CODE(0x901)
#define IOCTL_WAIT CODE(0x902)    /* blocks its thread until IOCTL_RELEASE, IRP_MJ_CLEANUP of the file or 30 s */
#define IOCTL_RELEASE CODE(0x903) /* ends IOCTL_WAIT */
#define IOCTL_FORGET CODE(0x904)  /* answers success and does not complete the request */
#define IOCTL_LOST CODE(0x905)    /* answers pending, without IoMarkIrpPending, and nobody completes it */
#define IOCTL_FOREVER CODE(0x906) /* blocks its thread until IOCTL_RELEASE */
#define IOCTL_USER CODE(0x907)    /* as IOCTL_FOREVER, in a wait that the end of the process ends */

static inline NTSTATUS Complete(PIRP irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}
