/** wdm.h: power. */

/** SYSTEM_POWER_STATE */
export const SystemPower = { Working: 1, Sleeping3: 4 } as const;

/** POWER_STATE_TYPE */
export const PowerStateType = { System: 0, Device: 1 } as const;

/** POWER_ACTION */
export const PowerAction = { None: 0, Sleep: 2 } as const;
